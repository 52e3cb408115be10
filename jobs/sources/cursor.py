"""Slices of what can only be read on: the next one goes on where the last one ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Cursor(Generic[T]):
    """Reads slices, and keeps the place behind the last one.

    A copy of it, and one that was pickled, keeps no place. Threads may share it.

    Args:
        start: For the number of an item, the number of the nearest one at or before it from which
            one can begin at no more cost than from any other.
        begin: Reads on from an item for which `start` returned its own number.
    """

    def __init__(self, start: Callable[[int], int], begin: Callable[[int], Iterator[T]]) -> None:
        self._start = start
        self._begin = begin
        self._kept: list[tuple[int, Iterator[T]]] = []

    def slice(self, start: int, stop: int) -> Iterator[T]:
        """The items `[start, stop)`, fewer if there are not so many."""
        number = self._start(start)
        rest: Iterator[T] | None = None
        try:
            kept = self._kept.pop()  # nobody else has it now
        except IndexError:
            pass
        else:
            if number <= kept[0] <= start:
                number, rest = kept
        if rest is None:
            rest = self._begin(number)
        for _ in islice(rest, start - number):
            pass
        yield from islice(rest, stop - start)
        self._kept[:] = [(stop, rest)]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": []}
