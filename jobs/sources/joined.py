"""Several sources, one after another."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from .item import Item
from .source import Source


class Joined:
    """Sources, read one after another.

    Args:
        parts: The sources, at least one.

    Attributes:
        name: What messages call it.
    """

    def __init__(self, parts: Sequence[Source]) -> None:
        self._parts = list(parts)
        self.name = ", ".join(part.name for part in self._parts)
        self._ends: list[int] | None = None

    def count(self) -> int:
        """How many items all have."""
        return self._all_ends()[-1]

    def sha256(self) -> str:
        """The hash of their hashes, in their order."""
        found = "".join(f"{part.sha256()} {part.count()}\n" for part in self._parts)
        return hashlib.sha256(found.encode()).hexdigest()

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """The items `[start, stop)`, numbered through; lines are those of each file."""
        ends = self._all_ends()
        stop = min(stop, ends[-1])
        while start < stop:
            place = bisect_right(ends, start)
            before = ends[place - 1] if place else 0
            part, last = self._parts[place], min(stop, ends[place])
            for item in part.items(start - before, last - before):
                yield replace(item, number=item.number + before, file=part.name)
            start = last

    def _all_ends(self) -> list[int]:
        if self._ends is None:
            self._ends = list(accumulate(part.count() for part in self._parts))
        return self._ends
