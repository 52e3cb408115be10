"""Files of records: lines of JSON, texts or tables, read from any place on."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.explanation import JsonDict

from ..cursor import Cursor
from ..item import Item
from ..unchanged import Unchanged
from .content import FAILURES, MOST_BYTES, Line, is_compressed, lines, opened, skip

_LOOKED_AT = 1 << 24
"""Of the first records so many bytes and one record more: lines may be huge, those of a small
compressed file, too."""
_EVERY = 64
"""Of so many records, the place of one is remembered."""


@dataclass(frozen=True)
class Record:
    """A record of a file.

    Attributes:
        first: The line that it begins on.
        content: What the form has read: a text, or the cells of a row.
        problem: Why it cannot be read; None if it can.
    """

    first: Line
    content: Any
    problem: Exception | None = None


class Form(Protocol):
    """How a file is made of records, and a record of what a predictor reads."""

    def split(self, lines: Iterator[Line]) -> Iterator[Record]:
        """The records on the lines, of which the first one begins one; blank lines are none."""

    def read(self, record: Record) -> tuple[str | None, JsonDict, Any]:
        """The id, what the predictor reads, and what an error shows.

        Raises:
            Exception: If the record is no input.
        """

    def shown(self, record: Record) -> Any:
        """What the row of an error shows of a record that cannot be read."""


@dataclass
class _Index:
    count: int = 0
    sha256: str = ""
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    lines: array[int] = field(default_factory=lambda: array("Q"))


class RecordsFile:
    """A source of the records of a file, compressed or not.

    The first question reads the file once, for the number of its records, its hash and the places
    of some records; what is kept of a million of them is 250 KB.

    Args:
        path: The file.
        form: What its records are.
        name: What messages call it; None for its path.
        heading: Whether the first record is the names of columns.
        most: How many bytes a line may have.

    Attributes:
        name: What messages call it.
    """

    def __init__(
        self,
        path: str,
        form: Form,
        name: str | None = None,
        heading: bool = False,
        most: int = MOST_BYTES,
    ) -> None:
        self.name = name or path
        self._path = path
        self._form = form
        self._heading = heading
        self._most = most
        self._compressed = is_compressed(path)
        self._unchanged = Unchanged(path, self.name)
        self._index: _Index | None = None
        self._cursor = Cursor(self._start, self._begin)

    def count(self) -> int:
        """How many records the file has.

        Raises:
            ConfigurationError: If the file cannot be read.
        """
        return self._indexed().count

    def sha256(self) -> str:
        """The hash of the file's bytes, decompressed.

        Raises:
            ConfigurationError: If the file cannot be read.
        """
        return self._indexed().sha256

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """The items `[start, stop)`; what cannot be read comes with its problem.

        Raises:
            ConfigurationError: If the file cannot be read, or has changed since it was opened.
        """
        stop = min(stop, self.count())
        if start >= stop:
            return
        self._unchanged.check()
        try:
            for number, record in enumerate(self._cursor.slice(start, stop), start=start):
                yield self._item(number, record)
        except FAILURES as error:
            raise self._unreadable(error) from error

    def _item(self, number: int, record: Record) -> Item:
        line = record.first.number
        problem = record.problem
        if problem is None:
            try:
                own, given, raw = self._form.read(record)
                return Item(number, line, own, given, raw)
            except Exception as error:
                problem = error
        return Item(number, line, None, None, self._form.shown(record), problem)

    def _indexed(self) -> _Index:
        if self._index is None:
            self._unchanged.check()
            try:
                self._index = self._read_through()
            except FAILURES as error:
                raise self._unreadable(error) from error
        return self._index

    def _read_through(self) -> _Index:
        index = _Index()
        seen = hashlib.sha256()
        with opened(self._path) as file:
            records = self._form.split(lines(file, most=self._most, seen=seen.update))
            if self._heading:
                next(records, None)
            for record in records:
                if index.count % _EVERY == 0:
                    index.offsets.append(record.first.offset)
                    index.lines.append(record.first.number)
                index.count += 1
        index.sha256 = seen.hexdigest()
        return index

    def _start(self, number: int) -> int:
        return 0 if self._compressed else number // _EVERY * _EVERY

    def _begin(self, number: int) -> Iterator[Record]:
        index = self._indexed()
        place = number // _EVERY
        offset = index.offsets[place]
        with opened(self._path) as file:
            skip(file, offset)
            yield from self._form.split(lines(file, offset, index.lines[place], self._most))

    def _unreadable(self, error: BaseException) -> ConfigurationError:
        return ConfigurationError(f"the input {self.name} cannot be read: {error}")

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_cursor"]  # it knows this object
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cursor = Cursor(self._start, self._begin)


def first_records(path: str, form: Form, count: int, most: int = MOST_BYTES) -> list[Record]:
    """The first records of a file.

    Raises:
        ConfigurationError: If the file cannot be read.
    """
    found: list[Record] = []
    size = 0
    try:
        with opened(path) as file:
            for record in form.split(lines(file, most=most)):
                found.append(record)
                size += len(record.first.content)
                if len(found) == count or size > _LOOKED_AT:
                    break
    except FAILURES as error:
        raise ConfigurationError(f"the input {path} cannot be read: {error}") from error
    return found
