"""The command's input, line by line."""

from __future__ import annotations

import json
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import open_compressed

from allennlp_saliency.predictors.saliency.json_lines import InputLine, numbered

from .arguments import STANDARD_INPUT, resolved

_LOOKED_AT = 5
"""So many lines without a JSON object at the beginning are another format."""


def read(input_file: str, load: Callable[[str, int], InputLine]) -> Iterator[InputLine]:
    """The inputs in a file, or on the standard input.

    Args:
        input_file: The file, or "-".
        load: What makes an input of a line and its number; what it cannot read is in the result.

    Raises:
        ConfigurationError: If the file cannot be read, or if it holds something else than a JSON
            object a line.
    """
    lines = (load(line, number) for number, line in numbered(_text(input_file)))
    yield from _json_lines(lines, input_file)


def count(input_file: str) -> int | None:
    """How many inputs a file has; None where that cannot be known beforehand."""
    if input_file == STANDARD_INPUT or not os.path.isfile(resolved("the input", input_file)):
        return None  # a pipe can be read once
    return sum(1 for _ in numbered(_text(input_file)))


def _text(input_file: str) -> Iterator[str]:
    try:
        if input_file == STANDARD_INPUT:
            if hasattr(sys.stdin, "reconfigure"):
                sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
            yield from sys.stdin
        else:
            path = resolved("the input", input_file)
            with open_compressed(path, errors="surrogateescape") as lines:
                yield from lines
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ConfigurationError(f"the input {input_file} cannot be read: {error}") from error


def _json_lines(lines: Iterator[InputLine], name: str) -> Iterator[InputLine]:
    """The same lines, unless all of the first ones are of another format.

    One that is broken among others is an error in the output; a table or a plain text would be as
    many errors as it has lines.
    """
    first: list[InputLine] = []
    for line in lines:
        first.append(line)
        if _begins_document(first[0]) or len(first) == _LOOKED_AT:
            break
        if not _of_another_format(line):
            break
    if first and (_begins_document(first[0]) or all(map(_of_another_format, first))):
        raise ConfigurationError(_described(first, name))
    yield from first
    yield from lines


def _of_another_format(line: InputLine) -> bool:
    if not isinstance(line.problem, (json.JSONDecodeError, UnicodeError)):
        return False
    return not str(line.given).strip().startswith("{")


def _begins_document(line: InputLine) -> bool:
    """Whether a line, the first one, begins an array or an object that goes on behind it."""
    if not isinstance(line.problem, json.JSONDecodeError):
        return False
    text = str(line.given).strip()
    return text in ("[", "{") or text.startswith("[{")


def _described(first: Sequence[InputLine], name: str) -> str:
    texts = [str(line.given) for line in first]
    shown = f"{texts[0][:80]} […]" if len(texts[0]) > 80 else texts[0]
    if any(isinstance(line.problem, UnicodeError) for line in first):
        hint = "it is no UTF-8 text; convert it first"
    elif _begins_document(first[0]):
        hint = "it looks like JSON over several lines; write one object a line (jq -c '.[]')"
    elif all("\t" in text for text in texts):
        hint = "it looks like TSV; write each row as an object (csv.DictReader, json.dumps)"
    elif all("," in text for text in texts):
        hint = "it looks like CSV; write each row as an object (csv.DictReader, json.dumps)"
    else:
        hint = "it looks like plain text"
    return (
        f"the input {name} has no JSON object on its first line, and one is wanted on each, such "
        f'as {{"sentence": "a great film"}}: {hint}. The line is {shown!r}'
    )
