"""What the operations were given in the baseline's pass, and which of them lost how much: what went
into each, backwards, against what came out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ..nested import mapped, tensors_in
from ..operations.calls import Call, in_place

Compute = Callable[[Call], Any]
Watch = Callable[[Call, Compute], Any]
"""Sees each operation of a forward pass under rules, and returns what `compute` makes of it."""


class Values:
    """Takes notes of the operands and results of each operation of the baseline's pass."""

    def __init__(self) -> None:
        self.noted: list[list[Tensor]] = []

    def __call__(self, call: Call, compute: Compute) -> Any:
        operands = [one.detach().clone() for one in _dependent((call.args, call.kwargs))]
        result = compute(call)
        self.noted.append(operands + [one.detach().clone() for one in _dependent(result)])
        return result


class Losses:
    """Adds up, per operation, Σ g Δy - Σ m Δx: what was handed to its results and not to its
    operands.

    Args:
        before: The values of the baseline's pass, from which Δ is taken; None for values
            themselves, as relevance is.

    Attributes:
        of: The sums by operation, complete after the backward pass.
    """

    def __init__(self, before: Values | None = None) -> None:
        self.of: dict[str, float] = defaultdict(float)
        self._before = before
        self._position = 0

    def __call__(self, call: Call, compute: Compute) -> Any:
        known, name, changes = self._known(), call.name, in_place(call.function)
        watched = {}
        for one in _dependent((call.args, call.kwargs)):
            change = self._change(one, known)
            if changes and one is call.args[0]:
                self._watched(one, name, -1.0, change)
            else:
                watched[id(one)] = self._watched(one.clone(), name, -1.0, change)
        args, kwargs = mapped((call.args, call.kwargs), lambda one: watched.get(id(one), one))
        result = compute(replace(call, args=args, kwargs=kwargs))

        def of_result(one: Tensor) -> Tensor:
            if not one.requires_grad:
                return one
            change = self._change(one, known)
            return self._watched(one if changes else one.clone(), name, 1.0, change)

        return mapped(result, of_result)

    def handed(self, source: Tensor, change: Tensor, step: str, maker: str) -> Tensor:
        """A source of a step; what the operation on the step hands to it counts as handed on by
        that operation, and not by the one that made the step."""
        own, amount = source.clone(), change.detach()

        def note(grad: Tensor) -> None:
            moved = float((grad * amount).sum(dtype=torch.float64))
            self.of[step] -= moved
            self.of[maker] += moved

        own.register_hook(note)
        return own

    def largest(self, count: int = 3) -> dict[str, float]:
        """The operations that lost most, and how much, by size; none of less than a hundredth of
        the first."""
        ordered = sorted(self.of.items(), key=lambda item: -abs(item[1]))[:count]
        return {name: one for name, one in ordered if abs(one) > 0.01 * abs(ordered[0][1])}

    def _known(self) -> list[Tensor] | None:
        if self._before is None:
            return None
        self._position += 1
        noted = self._before.noted
        return list(noted[self._position - 1]) if self._position <= len(noted) else []

    @staticmethod
    def _change(tensor: Tensor, known: list[Tensor] | None) -> Tensor:
        """Δ of the next value that is known; 0 where another way was taken."""
        own = tensor.detach().clone()
        if known is not None:
            before = known.pop(0) if known else own
            own = own - before if before.shape == own.shape else torch.zeros_like(own)
        return own.nan_to_num(0, 0, 0)

    def _watched(self, tensor: Tensor, name: str, sign: float, change: Tensor) -> Tensor:
        def note(grad: Tensor) -> None:
            self.of[name] += sign * float((grad.conj() * change).real.sum(dtype=torch.float64))

        tensor.register_hook(note)
        return tensor


def _dependent(value: Any) -> list[Tensor]:
    found = {id(one): one for one in tensors_in(value) if one.requires_grad}
    return list(found.values())


class OtherPathError(RuntimeError):
    """The model took another way for the input than for the baseline."""


@dataclass(frozen=True)
class Reference:
    """What a call was given in the baseline's pass, x⁰, and returned.

    Attributes:
        operands: Those that depend on the embeddings, as `call.operands`.
        output: What it returned; None where the rule does not look at it.
        inverses: Keys are the tensors of the input's pass that are one over a size: what is
            multiplied by them is divided.
    """

    operands: list[Tensor]
    output: Any
    inverses: WeakTensorKeyDictionary


@dataclass
class Tape:
    """What the operations were given in the baseline's pass, in their order.

    Attributes:
        entries: For each its name, its operands, and what it returned, where a rule asks for it.
        position: The next to be read.
        numbers: What the model read off tensors as numbers of Python, in the baseline's pass.
        read_otherwise: Operations by which it read other numbers in the input's pass.
        losses: Where the rule for steps accounts for what it hands to other operations' operands.
        mixes_rows: Whether what belongs to one row of a batch may have been handed to another.
    """

    entries: list[tuple[str, list[Tensor], Any]] = field(default_factory=list)
    position: int = 0
    numbers: list[Any] = field(default_factory=list)
    read_otherwise: set[str] = field(default_factory=set)
    mixes_rows: bool = False
    losses: Losses | None = None
    _inverses: WeakTensorKeyDictionary = field(default_factory=WeakTensorKeyDictionary)
    _numbers_read: int = 0

    def note(self, name: str, tensors: Sequence[Tensor], output: Tensor | None) -> None:
        """Notes what an operation was given and, where that is asked for, returned."""
        # Copies: the model may go on to change them in place.
        given, *made = mapped((list(tensors), output), lambda one: one.detach().clone())
        self.entries.append((name, given, *made))

    def read(self, call: Call) -> Reference:
        """The same call in the baseline's pass.

        Raises:
            OtherPathError: If there it was another call.
        """
        return Reference(*self.recall(call.name, call.operands), self._inverses)

    def recall(self, name: str, tensors: Sequence[Tensor]) -> tuple[list[Tensor], Any]:
        """What was noted under a name in the place of these tensors.

        Raises:
            OtherPathError: If it was another name, or tensors of other shapes.
        """
        if self.position < len(self.entries):
            noted_name, noted, output = self.entries[self.position]
            self.position += 1
            if noted_name == name and [x.shape for x in noted] == [x.shape for x in tensors]:
                return noted, output
        raise other_path(f"{name!r} where it called something else for the baseline")

    def close(self) -> None:
        """After the input's pass.

        Raises:
            OtherPathError: If it left out what the baseline's pass did last.
        """
        if self.position < len(self.entries):
            raise other_path(f"no {self.entries[self.position][0]!r} as it did for the baseline")

    def note_number(self, name: str, number: Any) -> None:
        """A number that the model read in the baseline's pass."""
        self.numbers.append((name, number))

    def compare_number(self, name: str, number: Any) -> None:
        """The same in the input's pass; where it is another, the operation is remembered."""
        known = self.numbers[self._numbers_read : self._numbers_read + 1]
        self._numbers_read += 1
        if known != [(name, number)]:
            self.read_otherwise.add(name)


def other_path(what: str) -> OtherPathError:
    """The error for a call that the baseline's pass did not make."""
    return OtherPathError(
        f"the model calls {what}: which operations it runs depends on the embeddings, and their "
        "differences from a baseline have no meaning; use integrated gradients"
    )
