"""Parquet files, read by their row groups."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from allennlp.common.checks import ConfigurationError

from ..cursor import Cursor
from ..unchanged import Unchanged

_AT_ONCE = 256


class ParquetRows:
    """The rows of a Parquet file.

    Reading begins at a row group; slices in turn read each group once.

    Args:
        path: The file.
        name: What messages call it.

    Raises:
        ConfigurationError: If it cannot be read, or pyarrow is not installed.
    """

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._unchanged = Unchanged(path, name)
        with self._opened() as file:
            metadata = file.metadata
            self.names: list[str] | None = list(file.schema_arrow.names)
            sizes = [
                metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)
            ]
        self._starts = [0, *accumulate(sizes)]
        self._cursors: dict[tuple[str, ...] | None, Cursor[Any]] = {}

    def __len__(self) -> int:
        return self._starts[-1]

    def read(self, start: int, stop: int, names: list[str] | None) -> Iterator[Any]:
        """The rows `[start, stop)`; of the columns those of these names.

        Raises:
            ConfigurationError: If the file is broken there, or has changed since it was opened.
        """
        stop = min(stop, len(self))
        if start >= stop:
            return
        self._unchanged.check()
        key = None if names is None else tuple(names)
        if key not in self._cursors:
            self._cursors[key] = Cursor(self._start, lambda number: self._begin(number, names))
        yield from self._cursors[key].slice(start, stop)

    def _start(self, number: int) -> int:
        return self._starts[bisect_right(self._starts, number) - 1]

    def _begin(self, number: int, names: list[str] | None) -> Iterator[Any]:
        first = bisect_right(self._starts, number) - 1
        groups = list(range(first, len(self._starts) - 1))
        with self._opened() as file:
            batches = file.iter_batches(batch_size=_AT_ONCE, row_groups=groups, columns=names)
            try:
                for batch in batches:
                    yield from batch.to_pylist()
            except Exception as error:  # Of a damaged file pyarrow raises of every kind.
                raise self._unreadable(error) from error

    def _opened(self) -> Any:
        try:
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"{self._name} is a Parquet file: pip install pyarrow reads it"
            ) from error
        try:
            return parquet.ParquetFile(self._path)
        except Exception as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ConfigurationError:
        return ConfigurationError(f"the input {self._name} cannot be read: {error}")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cursors": {}}
