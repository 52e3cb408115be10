"""Files with a JSON object a line, and files with a text a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.given import text_keys
from allennlp_saliency.predictors.saliency.json_lines import read_line, utf8

from ..fields import Fields, fields_of
from .content import Line
from .records import Record, RecordsFile, first_records

_LOOKED_AT = 5
"""So many lines without a JSON object at the beginning are another format."""
_SHOWN = 1000
_LONG = 1 << 20
"""Of a line of more bytes that cannot be read, so many characters are shown."""


class LineTooLong(ValueError):
    """A line has more bytes than can be an input."""


class JsonLines:
    """A JSON object a line.

    Args:
        fields: What is read of each object.
        parse: What makes an object of a line, `Predictor.load_line`.
    """

    def __init__(self, fields: Fields, parse: Callable[[str], Any]) -> None:
        self._fields = fields
        self._parse = parse

    def split(self, lines: Iterator[Line]) -> Iterator[Record]:
        """The lines that are not blank."""
        return (_whole(line) for line in lines if line.content.strip())

    def read(self, record: Record) -> tuple[str | None, JsonDict, Any]:
        """The id, the keys that the predictor reads, and the object.

        Raises:
            Exception: What is wrong with the line.
        """
        line = read_line(record.first.text, record.first.number, self._parse)
        if line.problem is not None:
            raise line.problem
        content: JsonDict = line.given
        return self._fields.id(content), self._fields.given(content, table=False), content

    def shown(self, record: Record) -> str:
        """The line."""
        return shown_line(record.first)


class PlainText:
    """A text a line.

    Args:
        key: The predictor's key of its text.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def split(self, lines: Iterator[Line]) -> Iterator[Record]:
        """The lines that are not blank."""
        return (_whole(line) for line in lines if line.content.strip())

    def read(self, record: Record) -> tuple[str | None, JsonDict, Any]:
        """No id, and the text.

        Raises:
            UnicodeDecodeError: If the line is no UTF-8.
        """
        text = utf8(record.first.content).rstrip("\r\n")
        return None, {self._key: text}, text

    def shown(self, record: Record) -> str:
        """The line."""
        return shown_line(record.first)


def _whole(line: Line) -> Record:
    if not line.cut:
        return Record(line, None)
    return Record(line, None, too_long(line))


def too_long(line: Line) -> LineTooLong:
    """The error of a line that was cut."""
    return LineTooLong(
        f"the line has more than {len(line.content):,} bytes, which is no input of a model; are "
        "there line breaks in the file?"
    )


def shown_line(line: Line) -> str:
    """A line as a text; what is no UTF-8 as escapes, a very long one cut."""
    long = line.cut or len(line.content) > _LONG
    content = line.content[:_SHOWN] if long else line.content
    text = content.decode("utf-8", "backslashreplace").rstrip("\r\n")
    return f"{text} […]" if long else text


def json_lines(
    path: str,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    id_key: str | None = None,
    predictor: Predictor | None = None,
) -> RecordsFile:
    """A source of a file with a JSON object a line.

    Args:
        path: The file.
        name: What messages call it; None for its path.
        columns: For keys of the predictor the object's key.
        id_key: The key of the user's own names; None for `id`.
        predictor: What reads the inputs.

    Raises:
        ConfigurationError: If the file holds something else, or a key is not there.
    """
    parse = json.loads if predictor is None else predictor.load_line
    name = name or path
    form = JsonLines(Fields({}), parse)
    found = first_records(path, form, _LOOKED_AT)
    lines = [read_line(one.first.text, one.first.number, parse) for one in found]
    if lines and (_is_document(lines) or all(map(_of_another_format, lines))):
        raise ConfigurationError(_described([shown_line(one.first) for one in found], name))
    rows = [line.given for line in lines if line.problem is None]
    names = list(dict.fromkeys(key for row in rows for key in row))
    fields = fields_of(name, names, rows, columns, id_key, predictor, table=False)
    return RecordsFile(path, JsonLines(fields, parse), name)


def plain_text(
    path: str, name: str | None = None, predictor: Predictor | None = None
) -> RecordsFile:
    """A source of a file with a text a line.

    Args:
        path: The file.
        name: What messages call it; None for its path.
        predictor: What reads the inputs.

    Raises:
        ConfigurationError: If the predictor does not read one text.
    """
    keys = [] if predictor is None else text_keys(predictor)
    if len(keys) != 1:
        reads = f"{type(predictor).__name__} reads {' and '.join(keys) or 'an object'}"
        raise ConfigurationError(
            f"{name or path} has a text a line, and {reads}; write an object a line, "
            f"{json.dumps(dict.fromkeys(keys or ['sentence'], '…'), ensure_ascii=False)}"
        )
    return RecordsFile(path, PlainText(keys[0]), name)


def _of_another_format(line: Any) -> bool:
    if not isinstance(line.problem, (json.JSONDecodeError, UnicodeError)):
        return False
    return not str(line.given).strip().startswith("{")


def _is_document(lines: list[Any]) -> bool:
    """Whether the first line begins an array or an object that goes on behind it, or is all."""
    text = str(lines[0].given).strip()
    if isinstance(lines[0].problem, TypeError):
        return len(lines) == 1 and text.startswith("[{")
    return isinstance(lines[0].problem, json.JSONDecodeError) and (
        text in ("[", "{") or text.startswith("[{")
    )


def _described(texts: list[str], name: str) -> str:
    shown = f"{texts[0][:80]} […]" if len(texts[0]) > 80 else texts[0]
    if texts[0].strip()[:1] in ("[", "{"):
        hint = "it looks like JSON over several lines; write one object a line (jq -c '.[]')"
    elif all("\t" in text for text in texts):
        hint = "it looks like TSV; say so: --format tsv"
    elif all("," in text for text in texts):
        hint = "it looks like CSV; say so: --format csv"
    else:
        hint = "if it has a text a line, say so: --format text"
    return (
        f"the input {name} has no JSON object on its first line, and one is wanted on each, such "
        f'as {{"sentence": "a great film"}}: {hint}. The line is {shown!r}'
    )
