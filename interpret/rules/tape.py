"""What the operations were given in the baseline's pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ..nested import mapped
from ..operations.calls import Call
from .watch import Losses


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
