"""The files of rows: JSON lines, the same compressed, Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.predictors.saliency.json_lines import utf8_json_line

_LEVEL = 3
_WAY_OUT = "pip install 'allennlp-saliency[jobs]', or take the output format jsonl"


def encoder(output_format: str) -> Callable[[Sequence[JsonDict]], bytes]:
    """What makes the bytes of a part: the same ones of the same rows.

    Args:
        output_format: "jsonl", "jsonl.zst" or "parquet".

    Raises:
        ConfigurationError: If the library that it needs is not installed.
    """
    if output_format == "jsonl.zst":
        compress = _zstandard().ZstdCompressor(level=_LEVEL, threads=0).compress
        return lambda rows: bytes(compress(to_lines(rows)))
    if output_format == "parquet":
        _pyarrow()
        return _to_parquet
    return to_lines


def read_rows(path: Path) -> Iterator[JsonDict]:
    """The rows of a file that `encoder` wrote, by the end of its name.

    Raises:
        ConfigurationError: As `encoder`.
        OSError: If it cannot be read.
    """
    if path.name.endswith(".parquet"):
        table = _pyarrow().parquet.read_table(path, columns=["json"])
        for text in table.column("json").to_pylist():
            yield json.loads(text)
        return
    if path.name.endswith(".zst"):
        with path.open("rb") as file, _zstandard().ZstdDecompressor().stream_reader(file) as plain:
            yield from map(json.loads, io.TextIOWrapper(plain, encoding="utf-8"))
        return
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def to_lines(rows: Sequence[JsonDict]) -> bytes:
    """Rows as JSON lines, UTF-8 whatever the locale is."""
    return "".join(map(utf8_json_line, rows)).encode("utf-8")


def _to_parquet(rows: Sequence[JsonDict]) -> bytes:
    """Columns for those who look at scores, and each row as it stands in JSON lines."""
    arrow = _pyarrow()
    score = arrow.struct(
        [
            ("instance", arrow.int32()),
            ("label", arrow.string()),
            ("field", arrow.string()),
            ("tokens", arrow.list_(arrow.string())),
            ("attributions", arrow.list_(arrow.float64())),
        ]
    )
    schema = arrow.schema(
        [
            ("id", arrow.string()),
            ("line", arrow.int64()),
            ("interpreter", arrow.string()),
            ("scores", arrow.list_(score)),
            ("json", arrow.string()),
        ]
    )
    if any("kept" in row for row in rows):
        schema = schema.insert(3, arrow.field("kept", arrow.string()))
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    for row in rows:
        for name in ("id", "line", "interpreter"):
            value = row[name]
            columns[name].append(_escaped(value) if isinstance(value, str) else value)
        if "kept" in columns:
            columns["kept"].append(utf8_json_line(row["kept"]).rstrip("\n"))
        columns["scores"].append(list(_scores(row)))
        columns["json"].append(utf8_json_line(row).rstrip("\n"))
    written = io.BytesIO()
    table = arrow.table(columns, schema=schema)
    arrow.parquet.write_table(table, written, compression="zstd", compression_level=_LEVEL)
    return written.getvalue()


def _scores(row: JsonDict) -> Iterator[JsonDict]:
    for number in range(1, len(row)):
        explanation = row.get(f"instance_{number}", {}).get("explanation")
        if explanation is None:
            continue
        label = explanation["target"].get("label")
        for one in explanation["inputs"]:
            yield {
                "instance": number,
                "label": None if label is None else _escaped(str(label)),
                "field": _escaped(one["field"]),
                "tokens": [_escaped(token) for token in one["tokens"]],
                "attributions": one["attributions"],
            }


def _escaped(text: str) -> str:
    """A text that UTF-8 can hold: half of a surrogate pair is shown as its number."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _zstandard() -> Any:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"jsonl.zst needs zstandard: {_WAY_OUT}") from error
    return zstandard


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"parquet needs pyarrow: {_WAY_OUT}") from error
    return pyarrow
