"""Outputs of a padded batch, cut to the length that each instance has alone.

Many models return something for every position (token ids, tags, a mask), and in a batch something
for the padding, too. Which number of an instance (the tokens of a field) an output is as long as is
learnt from instances that were predicted alone and in a batch. Where several numbers fit these, an
instance for which they differ has no known length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from allennlp.data import Instance

Outputs = dict[str, Any]
_Key = tuple[str, str]


@dataclass(frozen=True)
class _Axis:
    """An axis of an output that is as long as an instance is.

    Attributes:
        name: The output.
        axis: Its axis.
        ends: The padding lengths that it may follow, each with the constant number that it is
            longer by.
    """

    name: str
    axis: int
    ends: Sequence[tuple[_Key, int]]

    def end(self, lengths: Mapping[_Key, int]) -> int | None:
        """How long the axis is for an instance; None where that is not clear."""
        found = {lengths.get(key, 0) + more for key, more in self.ends}
        return found.pop() if len(found) == 1 else None


@dataclass(frozen=True)
class OwnLengths:
    """Cuts outputs to the length of their instance.

    Attributes:
        axes: Which to cut; by default none.
    """

    axes: Sequence[_Axis] = ()

    @classmethod
    def learnt(
        cls, instances: Sequence[Instance], alone: Sequence[Outputs], together: Sequence[Outputs]
    ) -> OwnLengths:
        """What to cut, as far as it follows from some instances.

        Args:
            instances: The instances, indexed.
            alone: What the model returned for each of them alone.
            together: What it returned for them in one batch.
        """
        lengths = [lengths_of(one) for one in instances]
        return cls(
            [
                axis
                for name in alone[0]
                for axis in _axes(
                    name,
                    lengths,
                    [_shape(one.get(name)) for one in alone],
                    [_shape(one.get(name)) for one in together],
                )
            ]
        )

    def cut(self, instance: Instance, outputs: Outputs) -> Outputs | None:
        """The outputs of an instance in a batch, as long as alone; None where it is not clear how
        long that is.

        Args:
            instance: The instance, indexed.
            outputs: What the model returned for it.
        """
        found = dict(outputs)
        lengths = lengths_of(instance) if self.axes else {}
        for one in self.axes:
            value: Any = found.get(one.name)
            end = one.end(lengths)
            if end is None:
                return None
            if len(_shape(value)) > one.axis and end >= 0:
                whole = (slice(None),) * one.axis
                found[one.name] = value[:end] if one.axis == 0 else value[(*whole, slice(end))]
        return found


def _axes(
    name: str,
    lengths: Sequence[Mapping[_Key, int]],
    alone: Sequence[tuple[int, ...]],
    together: Sequence[tuple[int, ...]],
) -> Iterator[_Axis]:
    if len({len(shape) for shape in (*alone, *together)}) != 1:
        return
    for axis in range(len(alone[0])):
        own = [shape[axis] for shape in alone]
        if own == [shape[axis] for shape in together]:
            continue
        ends = []
        for key in lengths[0]:
            apart = {size - one.get(key, 0) for size, one in zip(own, lengths, strict=True)}
            if len(apart) == 1:
                ends.append((key, apart.pop()))
        if ends:
            yield _Axis(name, axis, ends)


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of an array, the length of a list; nothing of anything else."""
    if isinstance(value, numpy.ndarray):
        return value.shape
    return (len(value),) if isinstance(value, list) else ()


def lengths_of(instance: Instance) -> dict[tuple[str, str], int]:
    """The padding lengths of an instance by field and key, in the order of these, which AllenNLP
    gives in another one from process to process."""
    padding = instance.get_padding_lengths()
    return dict(sorted(((name, key), n) for name, own in padding.items() for key, n in own.items()))
