"""Rows that are in memory, or behave as if they were: lists, tables, data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Protocol

from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.given import given_input
from allennlp_saliency.predictors.saliency.json_lines import shown, to_jsonable

from .fields import Fields, fields_of
from .item import Item

_LOOKED_AT = 50
_AT_ONCE = 1024


class Rows(Protocol):
    """Rows that can be counted and read from any place on.

    Attributes:
        names: The names of the columns; None where every row has its own.
    """

    names: list[str] | None

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int, names: list[str] | None) -> Iterator[Any]:
        """The rows `[start, stop)`; of a table the columns of these names, None for all."""


class RowsSource:
    """A source of rows.

    Args:
        rows: The rows.
        name: What messages call it.
        columns: For keys of the predictor the column.
        id_key: The column of the user's own names; None for `id` where there is one.
        predictor: What reads the inputs.
        sha256: Makes the hash; None for that of the rows as JSON.
        beside: Columns that are read beside those of the predictor.

    Attributes:
        name: What messages call it.

    Raises:
        ConfigurationError: If a column is not there, or it is not clear which one is meant.
    """

    def __init__(
        self,
        rows: Rows,
        name: str,
        columns: Mapping[str, str] | None = None,
        id_key: str | None = None,
        predictor: Predictor | None = None,
        sha256: Callable[[], str] | None = None,
        beside: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._rows = rows
        self._predictor = predictor
        self._hash = sha256
        self._known: str | None = None
        looked_at = rows.read(0, _LOOKED_AT, None)
        first = [one for one in looked_at if isinstance(one, Mapping) and not _is_read(one)]
        names = rows.names
        twice = [] if names is None else [one for one in names if names.count(one) > 1]
        if twice:
            raise ConfigurationError(
                f"{name} has two columns {twice[0]!r}, and it is not clear which is meant: rename "
                "one"
            )
        self._is_table = names is not None
        if names is None:
            names = list(dict.fromkeys(str(key) for row in first for key in row))
        self._fields: Fields = fields_of(
            name, names, first, columns, id_key, predictor, self._is_table
        )
        self._read = self._fields.names() if self._is_table else None
        if self._read is not None and beside:
            # All, where one is not there: whoever misses it can see what there is.
            known = set(beside) <= set(names)
            self._read = list(dict.fromkeys([*self._read, *beside])) if known else None

    def of(self, rows: Rows) -> RowsSource:
        """The same for other rows, of which the same is read."""
        other = copy(self)
        other._rows, other._known, other._hash = rows, None, None
        return other

    def count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def sha256(self) -> str:
        """The hash of the file, or of the rows as JSON."""
        if self._known is None:
            self._known = self._hash() if self._hash is not None else self._hash_of_rows()
        return self._known

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """The items `[start, stop)`; what cannot be read comes with its problem."""
        stop = min(stop, len(self._rows))
        for first in range(start, stop, _AT_ONCE):
            rows = self._rows.read(first, min(first + _AT_ONCE, stop), self._read)
            for number, row in enumerate(rows, start=first):
                yield self._item(number, row)

    def _item(self, number: int, row: Any) -> Item:
        line = number + 1
        if _is_read(row):
            return Item(number, line, None, row, row)
        own = self._fields.id(row) if isinstance(row, Mapping) else None
        try:
            return Item(number, line, own, self._given(row), row)
        except Exception as error:
            return Item(number, line, own, None, row, error)

    def _given(self, row: Any) -> JsonDict:
        if isinstance(row, Mapping):
            return self._fields.given(row, self._is_table)
        if self._predictor is None:
            raise TypeError(f"an input is an object, not {type(row).__name__}")
        return given_input(self._predictor, row)

    def _hash_of_rows(self) -> str:
        seen = hashlib.sha256()
        for first in range(0, len(self._rows), _AT_ONCE):
            for row in self._rows.read(first, first + _AT_ONCE, None):
                content = shown(row) if isinstance(row, Instance) else to_jsonable(row)
                seen.update(json.dumps(content, sort_keys=True).encode() + b"\n")
        return seen.hexdigest()


def _is_read(row: Any) -> bool:
    """Whether a dataset reader made it: an instance is a mapping, too, of fields."""
    return isinstance(row, Instance)


class ListRows:
    """The rows of a sequence.

    Args:
        rows: Objects, texts or instances.
    """

    def __init__(self, rows: Sequence[Any]) -> None:
        self.names: list[str] | None = None
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, start: int, stop: int, names: list[str] | None) -> Iterator[Any]:
        """The rows `[start, stop)`."""
        return iter(self._rows[start:stop])


class PandasRows:
    """The rows of a table of pandas.

    Args:
        table: The table.
    """

    def __init__(self, table: Any) -> None:
        self.names: list[str] | None = [str(name) for name in table.columns]
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def read(self, start: int, stop: int, names: list[str] | None) -> Iterator[Any]:
        """The rows `[start, stop)`; all their columns, which costs nothing."""
        own = self.names or []
        for row in self._table.iloc[start:stop].itertuples(index=False, name=None):
            yield dict(zip(own, row, strict=True))


class PolarsRows:
    """The rows of a table of polars.

    Args:
        table: The table.
    """

    def __init__(self, table: Any) -> None:
        self.names: list[str] | None = list(table.columns)
        self._table = table

    def __len__(self) -> int:
        return self._table.height

    def read(self, start: int, stop: int, names: list[str] | None) -> Iterator[Any]:
        """The rows `[start, stop)`."""
        return self._table.slice(start, stop - start).iter_rows(named=True)


class DatasetRows:
    """The rows of a data set of `datasets`, which stay on disk.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Any) -> None:
        self.names: list[str] | None = list(dataset.column_names)
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, start: int, stop: int, names: list[str] | None) -> Iterator[Any]:
        """The rows `[start, stop)`; of the columns those of these names."""
        dataset = self._dataset if names is None else self._dataset.select_columns(names)
        found = dataset[start:stop]
        for row in zip(*found.values(), strict=True):
            yield dict(zip(found, row, strict=True))
