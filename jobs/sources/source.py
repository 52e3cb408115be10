"""What a job asks of its inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .item import Item


class Source(Protocol):
    """Inputs that can be counted, recognised, and read from any place on.

    Attributes:
        name: What messages call it.
    """

    name: str

    def count(self) -> int:
        """How many items there are."""

    def sha256(self) -> str:
        """A hash of the content, by which a job knows its inputs again."""

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """The items `[start, stop)`; what cannot be read comes with its problem."""
