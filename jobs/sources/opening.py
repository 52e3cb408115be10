"""The source for what a user names or gives."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import close_names

from .joined import Joined
from .json_lines import json_lines, plain_text
from .source import Source
from .tables import table

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

    Raises:
        ConfigurationError: If it cannot be read, is of another format, or it is not clear what a
            column is.
    """
    if format is not None and format not in FORMATS:
        raise ConfigurationError(f"there is no format {format!r}; {close_names(format, FORMATS)}")
    options: dict[str, Any] = {"columns": columns, "id_key": id_key, "predictor": predictor}
    if isinstance(given, (str, os.PathLike)):
        return _of_path(os.fspath(given), format, keep, options)
    paths = _paths(given)
    if not paths:
        raise ConfigurationError(f"{type(given).__name__} has no inputs")
    return _joined([_of_path(path, format, keep, options) for path in paths])


def _paths(given: Any) -> Sequence[str]:
    return [os.fspath(one) for one in given]


def _joined(parts: Sequence[Source]) -> Source:
    return parts[0] if len(parts) == 1 else Joined(parts)


def _of_path(
    given: str,
    format: str | None,
    keep: str | os.PathLike[str] | None,
    options: dict[str, Any],
) -> Source:
    path, name = _located(given), given
    kind = format or _kind(name)
    if kind == "text":
        return plain_text(path, name, options["predictor"])
    if kind in ("csv", "tsv"):
        return table(path, kind, name, **options)
    return json_lines(path, name, **options)


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
