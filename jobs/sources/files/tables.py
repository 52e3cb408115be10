"""Tables as text: CSV, and TSV."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.predictors.saliency.json_lines import utf8

from ..fields import Fields, fields_of
from .content import Line
from .json_lines import shown_line, too_long
from .records import Record, RecordsFile, first_records

_LOOKED_AT = 50
_DELIMITERS = ",;\t"


class BrokenRow(ValueError):
    """A row of a table cannot be read."""


class Table:
    """Rows of cells. The first row names the columns.

    Args:
        fields: What is read of each row.
        header: The names of the columns.
        delimiter: What stands between cells.
        quotes: Whether cells may stand in quotes, and then hold delimiters and line breaks.
    """

    def __init__(
        self, fields: Fields, header: Sequence[str], delimiter: str, quotes: bool = True
    ) -> None:
        self._fields = fields
        self._header = list(header)
        self._options: dict[str, Any] = (
            {"delimiter": delimiter, "strict": True}
            if quotes
            else {"delimiter": delimiter, "quoting": csv.QUOTE_NONE}
        )

    def split(self, lines: Iterator[Line]) -> Iterator[Record]:
        """The rows that are not blank. Of a row that cannot be read the first line alone is taken:
        a quote that nobody closes costs one row."""
        feed = _Feed(lines)
        reader = csv.reader(feed, **self._options)
        while True:
            feed.begin()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                first, last = feed.taken[0], feed.taken[-1]
                feed.back(1)
                reader = csv.reader(feed, **self._options)
                yield Record(first, None, _broken(error, first, last))
                continue
            first = feed.taken[0]
            cut = next((line for line in feed.taken if line.cut), None)
            if cells:
                yield Record(first, cells, None if cut is None else too_long(cut))

    def read(self, record: Record) -> tuple[str | None, JsonDict, Any]:
        """The id, the cells that the predictor reads by its keys, and the row.

        Raises:
            BrokenRow: If it has not as many cells as the table has columns, or repeats their names.
            UnicodeDecodeError: If it is no UTF-8.
            InterpretationError: If a cell is missing that is needed.
        """
        cells: list[str] = record.content
        for cell in cells:
            if not cell.isascii():
                utf8(cell.encode("utf-8", "surrogateescape"))
        if cells == self._header:
            raise BrokenRow("the row repeats the names of the columns")
        if len(cells) != len(self._header):
            raise BrokenRow(
                f"the row has {len(cells)} cells, and there are {len(self._header)} columns: "
                f"{', '.join(map(repr, self._header[:20]))}"
            )
        row = dict(zip(self._header, cells, strict=True))
        return self._fields.id(row), self._fields.given(row, table=True), row

    def shown(self, record: Record) -> Any:
        """The cells, or the line where there are none."""
        if record.content is None or record.problem is not None:
            return shown_line(record.first)
        return [
            cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            for cell in record.content
        ]


class _Feed:
    """Lines as the reader of cells takes them, and which ones it took.

    Args:
        lines: The lines.

    Attributes:
        taken: Those since the row began.
    """

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self.taken: list[Line] = []

    def begin(self) -> None:
        """A row begins."""
        self.taken = []

    def back(self, keep: int) -> None:
        """Gives lines again, but for the first ones since the row began."""
        self._again.extendleft(reversed(self.taken[keep:]))

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        return line.text


def _broken(error: csv.Error, first: Line, last: Line) -> BrokenRow:
    said = str(error)
    if "field larger than field limit" in said or "unexpected end of data" in said:
        return BrokenRow(
            f"a quote that is opened on line {first.number} is not closed, up to line "
            f"{last.number} at least, or a cell has more than {csv.field_size_limit():,} "
            "characters; double the quotes within a cell, and write long texts as JSON lines or "
            "Parquet"
        )
    if "expected after" in said:
        return BrokenRow(
            f"a quote on line {last.number} ends a cell, and more follows ({said}); double the "
            "quotes within a cell"
        )
    return BrokenRow(f"the row is no CSV: {said}")


def table(
    path: str,
    kind: str,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    id_key: str | None = None,
    predictor: Predictor | None = None,
) -> RecordsFile:
    """A source of a table.

    Args:
        path: The file.
        kind: "csv", with quotes, and commas, semicolons or tabs between cells, whichever the first
            row has most of; "tsv", with tabs and no quotes.
        name: What messages call it; None for its path.
        columns: For keys of the predictor the column.
        id_key: The column of the user's own names; None for `id` where there is one.
        predictor: What reads the inputs.

    Raises:
        ConfigurationError: If the table has no columns, one that is read is not there or there
            twice, or it is not clear which one is meant.
    """
    name = name or path
    delimiter = "\t" if kind == "tsv" else _delimiter(path, name)
    quotes = kind != "tsv"
    records = first_records(path, Table(Fields({}), [], delimiter, quotes), _LOOKED_AT + 1)
    if not records:
        raise ConfigurationError(f"{name} is empty: its first row has to name the columns")
    header = _header(records[0], name)
    rows = [
        dict(zip(header, record.content, strict=True))
        for record in records[1:]
        if record.content is not None and len(record.content) == len(header)
    ]
    fields = fields_of(name, header, rows, columns, id_key, predictor)
    read = fields.names()
    twice = [one for one in dict.fromkeys(header) if header.count(one) > 1]
    twice = [one for one in twice if read is None or one in read]
    if twice:
        raise ConfigurationError(
            f"{name} has two columns {twice[0]!r}, and it is not clear which is meant: rename one"
        )
    return RecordsFile(path, Table(fields, header, delimiter, quotes), name, heading=True)


def _header(record: Record, name: str) -> list[str]:
    if record.problem is not None:
        raise ConfigurationError(
            f"the first row of {name}, which names the columns, cannot be read: {record.problem}"
        ) from record.problem
    header: list[str] = record.content
    if any(not one.isprintable() and one.strip() for one in header):
        raise ConfigurationError(
            f"the first row of {name}, which names the columns, is no UTF-8 text; convert the file "
            "first"
        )
    return [one.strip() for one in header]


def _delimiter(path: str, name: str) -> str:
    """What stands between the names of columns."""
    found = first_records(path, Table(Fields({}), [], "\x00", quotes=False), 1)
    text = found[0].first.text if found else ""
    inside, counts = False, dict.fromkeys(_DELIMITERS, 0)
    for one in text:
        if one == '"':
            inside = not inside
        elif not inside and one in counts:
            counts[one] += 1
    return max(_DELIMITERS, key=lambda one: counts[one])
