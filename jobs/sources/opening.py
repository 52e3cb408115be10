"""The source for what a user names or gives."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import close_names
from allennlp_saliency.interpret.interpreter.given import text_keys

from .files.json_lines import json_lines, plain_text
from .files.parquet import ParquetRows
from .files.tables import table
from .instances import ReaderSource
from .joined import Joined
from .kept import as_lines, kept, read_once, standard_input
from .rows import DatasetRows, ListRows, PandasRows, PolarsRows, Rows, RowsSource
from .saved_datasets import hash_of_saved, saved_dataset
from .source import Source

STANDARD_INPUT = "-"
FORMATS = ("jsonl", "csv", "tsv", "parquet", "text", "dataset", "instances")
"""What `format` may be."""

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "text",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def open_source(
    given: Any,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    id_key: str | None = None,
    predictor: Predictor | None = None,
    keep: str | os.PathLike[str] | None = None,
    beside: Sequence[str] = (),
) -> Source:
    """The source of inputs.

    Args:
        given: A file or several, which are read one after another, "-" for the standard input, a
            folder that `datasets` has saved; or inputs themselves: a list or generator, a table of
            pandas or polars, a data set of `datasets`.
        format: One of `FORMATS`; None for what the name of the file says, JSON lines if nothing.
            "instances" has the predictor's dataset reader read the file.
        columns: For keys of the predictor the column (or key) that each is read from.
        id_key: The column (or key) of the user's own names; None for `id` where there is one.
        predictor: What reads the inputs; without it columns are read under their own names.
        keep: A file that is written with what can be read only once, the standard input or a
            generator, so that it can be read again. What is there from before is taken.
        beside: Columns that are read beside those of the predictor, for `Item.raw`.

    Raises:
        ConfigurationError: If it cannot be read, is of another format, or it is not clear what a
            column is.
    """
    if format is not None and format not in FORMATS:
        raise ConfigurationError(f"there is no format {format!r}; {close_names(format, FORMATS)}")
    place = None if keep is None else Path(keep)
    opening = _Opening(format, columns, id_key, predictor, place, tuple(beside))
    if isinstance(given, (str, os.PathLike)):
        return opening.of_path(os.fspath(given))
    if not _is_paths(given):
        return opening.of_rows(given)
    paths = [os.fspath(path) for path in given]
    if sum(map(_is_read_once, paths)) > 1:
        raise ConfigurationError(
            f"of {', '.join(paths)} more than one can be read only once; name files, or join them: "
            "cat A B | … -"
        )
    parts = [opening.of_path(path) for path in paths]
    return parts[0] if len(parts) == 1 else Joined(parts)


def _is_paths(given: Any) -> bool:
    several = type(given) in (list, tuple) and bool(given)
    return several and all(isinstance(one, (str, os.PathLike)) for one in given)


def _is_read_once(path: str) -> bool:
    """Whether this is the standard input, or a pipe that has a name."""
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError):
        return path == STANDARD_INPUT
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


@dataclass(frozen=True)
class _Opening:
    """How inputs are opened, as for `open_source`."""

    format: str | None
    columns: Mapping[str, str] | None
    id_key: str | None
    predictor: Predictor | None
    keep: Path | None
    beside: tuple[str, ...]

    @property
    def _fields(self) -> dict[str, Any]:
        return {"columns": self.columns, "id_key": self.id_key, "predictor": self.predictor}

    def _of_table(self, rows: Rows, name: str, sha256: Callable[[], str] | None = None) -> Source:
        return RowsSource(rows, name, **self._fields, sha256=sha256, beside=self.beside)

    def of_path(self, given: str) -> Source:
        """The source of a file, a folder or the standard input."""
        if given == STANDARD_INPUT:
            name = "the standard input"
            return self._of_file(self._kept(standard_input(), name), name, self.format or "jsonl")
        if self.format == "instances":
            if self.predictor is None:
                raise ConfigurationError("format 'instances' needs a predictor, and its reader")
            return ReaderSource(given, self.predictor, self.id_key)
        path = _located(given)
        if _is_read_once(path):
            path = self._kept(read_once(path), given)
        kind = self.format or ("dataset" if os.path.isdir(path) else _kind(given))
        return self._of_file(path, given, kind)

    def of_rows(self, given: Any) -> Source:
        """The source of inputs themselves."""
        name = f"the {type(given).__name__}"
        if isinstance(given, Mapping):
            raise ConfigurationError(_of_mapping(given))
        are_bytes = isinstance(given, (bytes, bytearray))
        rows = None if are_bytes else _rows(given)
        if rows is not None:
            return self._of_table(rows, name)
        if are_bytes or not isinstance(given, Iterable):
            raise ConfigurationError(
                f"inputs are paths, a list of objects or a table, not {type(given).__name__}"
            )
        if self.keep is None:
            return RowsSource(ListRows(list(given)), name, **self._fields)
        keys = [] if self.predictor is None else text_keys(self.predictor)
        lines = as_lines(given, keys[0] if len(keys) == 1 else None)
        return json_lines(self._kept(lines, name), name, **self._fields)

    def _of_file(self, path: str, name: str, kind: str) -> Source:
        if kind == "text":
            return plain_text(path, name, self.predictor)
        if kind in ("csv", "tsv"):
            return table(path, kind, name, **self._fields)
        if kind == "parquet":
            return self._of_table(ParquetRows(path, name), name, partial(_hash_of_file, path))
        if kind == "dataset":
            return self._of_table(saved_dataset(path, name), name, partial(hash_of_saved, path))
        return json_lines(path, name, **self._fields)

    def _kept(self, chunks: Iterable[bytes], name: str) -> str:
        if self.keep is None:
            raise ConfigurationError(
                f"{name} can be read only once, and nothing says where to keep it: name an output, "
                "or a file"
            )
        return kept(chunks, self.keep, name)


def _rows(given: Any) -> Rows | None:
    """Rows that can be read from any place on; None if they can be read only once."""
    if hasattr(given, "iloc") and hasattr(given, "columns"):
        return PandasRows(given)
    if hasattr(given, "iter_rows") and hasattr(given, "columns"):
        return PolarsRows(given)
    if hasattr(given, "column_names") and hasattr(given, "__len__"):
        return DatasetRows(given)
    return ListRows(given) if isinstance(given, Sequence) else None


def _of_mapping(given: Mapping[Any, Any]) -> str:
    splits = [str(name) for name, one in given.items() if hasattr(one, "column_names")]
    if not splits:
        return "this is one input; inputs are a list: [input]"
    return (
        f"these are {len(splits)} data sets, {', '.join(map(repr, splits))}; give one: "
        f"data[{splits[0]!r}]"
    )


def _hash_of_file(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _located(given: str) -> str:
    """The file or folder that a name stands for: of a URL the copy in the cache."""
    try:
        return str(cached_path(given))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the input {given} cannot be read: {error}") from error


def _kind(path: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return _SUFFIXES.get(suffixes[-1], "jsonl") if suffixes else "jsonl"
