"""What a job asks of those who do its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from ..parts.part import Part


class Worker(Protocol):
    """Does one part after another."""

    def part(self, number: int) -> Part:
        """Explains the inputs of a part."""


class Engine(Protocol):
    """Has parts done by one or many workers."""

    def run(self, make: Callable[[], Worker], parts: Sequence[int]) -> Iterator[tuple[int, Part]]:
        """Yields the parts as they are done, in any order.

        Args:
            make: Makes a worker; it can be pickled, so that another process can call it.
            parts: The numbers of the parts to do.
        """
