"""The parts of a job, one after another, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..parts.part import Part
from .engine import Worker


class LocalEngine:
    """Does the parts in their order, in this process."""

    def run(self, make: Callable[[], Worker], parts: Sequence[int]) -> Iterator[tuple[int, Part]]:
        """Yields each part as it is done.

        Args:
            make: Makes the worker.
            parts: The numbers of the parts.
        """
        worker = make()
        for number in parts:
            yield number, worker.part(number)
