"""Some of the inputs of a source: the first ones, or those with certain ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError

from .sources.item import Item
from .sources.source import Source

_SHOWN = 5


def selected(source: Source, limit: int | None, ids: Any) -> Source:
    """The inputs to explain.

    Args:
        source: All inputs.
        limit: So many only; None for all.
        ids: A file of ids, one a line, or the ids; of an input without one the number of its line.

    Raises:
        ConfigurationError: If the file cannot be read, or an id is none of the inputs'.
    """
    if ids is not None:
        source = Chosen(source, read_ids(ids))
    return source if limit is None else First(source, limit)


class First:
    """The first inputs of a source.

    Args:
        source: All inputs.
        limit: How many at most.

    Attributes:
        name: What messages call it.
    """

    def __init__(self, source: Source, limit: int) -> None:
        self.name = source.name
        self._source = source
        self._limit = limit

    def count(self) -> int:
        """How many there are."""
        return min(self._limit, self._source.count())

    def sha256(self) -> str:
        """The hash of all inputs: the limit is a setting of the job."""
        return self._source.sha256()

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """The items `[start, stop)`."""
        return self._source.items(start, min(stop, self._limit))


class Chosen:
    """The inputs of a source that have certain ids, in the order of the source.

    Args:
        source: All inputs.
        ids: The ids; of an input without one the number of its line.

    Attributes:
        name: What messages call it.

    Raises:
        ConfigurationError: If an id is none of the inputs'.
    """

    def __init__(self, source: Source, ids: Sequence[str]) -> None:
        self.name = source.name
        self._source = source
        wanted = set(ids)
        self._numbers: list[int] = []
        found = set()
        for place, item in enumerate(source.items(0, source.count())):
            name = str(item.line) if item.id is None else item.id
            if name in wanted:
                self._numbers.append(place)
                found.add(name)
        missing = sorted(wanted - found)
        if missing:
            more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
            raise ConfigurationError(
                f"no input of {self.name} has the id "
                f"{', '.join(map(repr, missing[:_SHOWN]))}{more}; inputs without an id go by the "
                "number of their line"
            )

    def count(self) -> int:
        """How many there are."""
        return len(self._numbers)

    def sha256(self) -> str:
        """The hash of all inputs: the ids are a setting of the job."""
        return self._source.sha256()

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """The items `[start, stop)` of those chosen; neighbours in the source are read at once."""
        for first, last in _runs(self._numbers[start:stop]):
            yield from self._source.items(first, last)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as ranges `[first, last)`."""
    first = last = -1
    for number in numbers:
        if number == last:
            last += 1
            continue
        if last >= 0:
            yield first, last
        first, last = number, number + 1
    if last >= 0:
        yield first, last


def read_ids(given: Any) -> list[str]:
    """Ids as a job names them.

    Args:
        given: A file of ids, one a line, or the ids.

    Raises:
        ConfigurationError: If the file cannot be read, or has none.
    """
    if not isinstance(given, (str, PathLike)):
        if not isinstance(given, Iterable):
            raise ConfigurationError(f"ids are a file or a list, not {given!r:.100}")
        return [str(one) for one in given]
    try:
        lines = Path(given).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"the ids in {given} cannot be read: {error}") from error
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise ConfigurationError(f"{given} has no ids; it has one on each line")
    return found
