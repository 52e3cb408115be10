"""Which modules are running, and what they were given: the context of an attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(eq=False)
class Frame:
    """One call of a module.

    Attributes:
        module: The module.
        args: What it was called with.
        kwargs: The same, by name.
        parent: The call that it happened in.
        output: What it returned; None while it runs.
        closing: Of a block, the module that its stack gave its states to, where that is no block:
            the normalization that many end with.
    """

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    parent: Frame | None
    output: Any = None
    closing: nn.Module | None = None

    def outwards(self) -> Iterator[Frame]:
        """This call, the one that it happened in, and so on."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent

    @property
    def states(self) -> Tensor | None:
        """The vectors that it returned, alone or first among others."""
        return first_tensor(self.output)


def first_tensor(value: Any) -> Tensor | None:
    """A tensor, or the first one in a tuple, a list or a mapping."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None
