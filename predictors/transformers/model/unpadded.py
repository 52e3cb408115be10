"""Batches of models that see padding (convolutions, sums over all positions, fixed blocks), or that
take one row at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy
import torch
from allennlp.data import Instance
from torch import Tensor

from allennlp_saliency.interpret.inputs.texts import text_items
from allennlp_saliency.interpret.space.packing import out_of_memory
from allennlp_saliency.interpret.target.prediction_check import Mismatch, check_predicted

Outputs = list[dict[str, Any]]
Run = Callable[[list[Instance]], Outputs]


class PaddingCheck:
    """Finds out whether a model takes several rows, and returns the same with padding.

    That it does is known of batches up to the longest that was tried: blocks of a fixed size, say,
    make a difference only in long ones.

    Args:
        dtype: The floating type that the model computes in.
        sees: Whether it sees padding; None to find out.
    """

    def __init__(self, dtype: torch.dtype, sees: bool | None = None) -> None:
        self._dtype = dtype
        self._sees = sees
        self._tried = 0
        self._single = False

    def run(self, instances: list[Instance], run: Run) -> Outputs:
        """The outputs of instances, by a function that runs a batch; only those of equal length
        share one if the model sees padding, and none if it takes one row at a time."""
        if len(instances) < 2:
            return run(instances)
        if not self._single:
            try:
                return self._together(instances, run)
            except Exception as error:
                if out_of_memory(error):
                    raise
        # What is wrong with one of them is raised here again.
        outputs = [run([instance])[0] for instance in instances]
        self._single = True
        return outputs

    def _together(self, instances: list[Instance], run: Run) -> Outputs:
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, instance in enumerate(instances):
            groups.setdefault(_lengths(instance), []).append(number)
        if len(groups) == 1 or self._sees is False:
            return run(instances)
        longest, shortest = max(groups, key=sum), min(groups, key=sum)
        if self._sees is None and sum(longest) <= self._tried:
            return run(instances)
        if self._sees is None:
            outputs = run(instances)
            number = groups[shortest][0]
            if not _differ(run([instances[number]])[0], outputs[number], self._dtype):
                self._tried = sum(longest)
                return outputs
            self._sees = True
        found: dict[int, dict[str, Any]] = {}
        for group in groups.values():
            found.update(zip(group, run([instances[n] for n in group]), strict=True))
        return [found[number] for number in range(len(instances))]


def _lengths(instance: Instance) -> tuple[int, ...]:
    """How many tokens each text of an instance has."""
    fields = instance.fields.values()
    return tuple(len(item.text.tokens) for field in fields for item in text_items(field))


def _differ(alone: Mapping[str, Any], padded: Mapping[str, Any], dtype: torch.dtype) -> bool:
    numbers = {name: one for name, one in _floats(alone).items() if one.numel()}
    others = {name: one[None] for name, one in _floats(padded).items()}
    try:
        check_predicted(others, [numbers], dtype)
    except Mismatch:
        return True
    return False


def _floats(outputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """The outputs that are numbers, arrays or lists."""
    found = {}
    for name, value in outputs.items():
        numbers = isinstance(value, list) and all(isinstance(one, float) for one in value)
        if numbers or (isinstance(value, numpy.ndarray) and value.dtype.kind == "f"):
            found[name] = torch.as_tensor(numpy.asarray(value))
    return found
