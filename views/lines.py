"""Files of JSON lines, as `allennlp predict … --predictor saliency` writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation, ExplanationFormatError

_SHOWN = 60


class LineError(ValueError):
    """A line of a file cannot be shown; the message names both."""


@dataclass(frozen=True)
class Line:
    """What a line holds.

    Attributes:
        number: Its number in the file, from 1.
        content: The JSON object.
        prediction: The prediction, None where there is none.
        explanations: The explanations, in order.
        error: Why the input could not be explained, None if it was.
    """

    number: int
    content: Mapping[str, Any]
    prediction: Mapping[str, Any] | None = None
    explanations: list[Explanation] = field(default_factory=list)
    error: str | None = None


def read_lines(
    path: str | PathLike[str], broken: Callable[[LineError], None] | None = None
) -> Iterator[Line]:
    """The lines of a file, one by one; empty ones are passed over.

    A line is what `--predictor saliency` writes for an input, or one explanation
    (`Explanation.to_json()`).

    Args:
        path: The file.
        broken: What to do with the error of a line that cannot be read, before the next one; None
            to raise it.

    Raises:
        LineError: If a line is no JSON object, holds no explanation, or one of another format; the
            lines before it have been returned.
        OSError: If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                found = _read(line, number, path)
            except LineError as error:
                if broken is None:
                    raise
                broken(error)
                continue
            yield found


def instances_of(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The values of `instance_1`, `instance_2`, … by number: `instance_10` comes last of ten."""
    names = [
        name
        for name in content
        if name.startswith("instance_") and name[9:].isdecimal() and isinstance(content[name], dict)
    ]
    return [content[name] for name in sorted(names, key=lambda name: int(name[9:]))]


def error_in_words(content: Mapping[str, Any]) -> str:
    """What the `error` of a line says."""
    error = content["error"]
    details = error if isinstance(error, Mapping) else {"message": error}
    kind = details.get("type")
    return f"{kind}: {details.get('message')}" if kind else str(details.get("message"))


def _read(line: bytes, number: int, path: str | PathLike[str]) -> Line:
    where = f"{path}, line {number}"
    try:
        content = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        text = line[:_SHOWN].decode("utf-8", "replace").strip()
        raise LineError(f"{where} is no JSON: {error}; it begins with {text!r}") from error
    return line_of(content, number, where)


def line_of(content: Any, number: int, where: str) -> Line:
    """What the JSON of a line holds.

    Args:
        content: The JSON.
        number: What the line's number is to be.
        where: What errors call it.

    Raises:
        LineError: As `read_lines`.
    """
    if not isinstance(content, dict):
        raise LineError(f"{where} is no JSON object, but {type(content).__name__}")
    if "error" in content:
        return Line(number, content, _prediction(content), error=error_in_words(content))
    try:
        if "interpreter" in content and "inputs" in content:
            return Line(number, content, None, [Explanation.from_json(content)])
        found = instances_of(content)
        explained = [one["explanation"] for one in found if "explanation" in one]
        if (found and not explained) or (not found and "prediction" not in content):
            raise LineError(
                f"{where} holds no explanation; files of explanations are written by "
                "`allennlp predict ARCHIVE INPUTS --predictor saliency --output-file FILE`"
            )
        explanations = [Explanation.from_json(one) for one in explained]
    except ExplanationFormatError as error:
        raise LineError(f"{where}: {error}") from error
    return Line(number, content, _prediction(content), explanations)


def _prediction(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    prediction = content.get("prediction")
    return prediction if isinstance(prediction, Mapping) else None
