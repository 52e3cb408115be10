"""The two ends of `allennlp predict`: lines read with their number, and lines of valid JSON, among
them those of inputs that cannot be interpreted."""

from __future__ import annotations

import codecs
import json
import locale
import math
import re
import reprlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any

import numpy
from allennlp.data import Instance
from torch import Tensor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.reading import misses, place_of
from allennlp_saliency.interpret.space.packing import let_go, out_of_memory

# Valid in JSON, but some readers end a line at them, and a terminal acts upon C1 controls.
_UNSAFE_IN_LINES = re.compile("[\x7f-\x9f\u2028\u2029]")


class InputLine(dict[str, Any]):
    """The JSON object on a line of the input; or, if the line holds none, what is wrong with it.

    It is a dict, since `allennlp predict` prints what it read as JSON.

    Attributes:
        number: The line's number in the file, from 1, blank lines counted too; None if unknown.
        problem: Why the line is no input, None if it is one.
        given: The object; or the text of a line that could not be read.
    """

    def __init__(self, given: Any, number: int | None, problem: Exception | None = None) -> None:
        super().__init__(given if problem is None else {"unreadable": given})
        self.number = number
        self.problem = problem
        self.given = given


def read_line(line: str, number: int | None, parse: Callable[[str], Any]) -> InputLine:
    """Reads a line; what is wrong with it comes back in the result, nothing is raised.

    Args:
        line: The line, undecodable bytes as surrogates (`errors="surrogateescape"`).
        number: Its number, from 1.
        parse: What makes an object of it, `Predictor.load_line`.
    """
    try:
        line = utf8(line.encode("utf-8", "surrogateescape"))
    except UnicodeError as error:
        shown = line.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return InputLine(shown.rstrip("\r\n"), number, error)
    try:
        # Files that were joined have a byte order mark in the middle.
        line = line.removeprefix("\ufeff")
        content = parse(line)
        if not isinstance(content, dict):
            kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
            raise TypeError(
                f'an input is a JSON object such as {{"sentence": "…"}}, '
                f"this line is {kinds.get(type(content), 'a number')}"
            )
        if line.count(":") > len(content):
            _check_keys(line)
        # What is nested too deeply to be copied would fail later, when it cannot be reported.
        return InputLine(deepcopy(content), number)
    except Exception as error:
        return InputLine(line.rstrip("\r\n"), number, error)


def utf8(content: bytes) -> str:
    """Bytes as a text.

    Raises:
        UnicodeDecodeError: If they are no UTF-8; the message says how a file becomes so.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        error.reason += (
            "; files are read as UTF-8, so convert this one, such as by iconv -f LATIN1 -t UTF-8 "
            "FILE if it is Latin-1"
        )
        raise


def _check_keys(line: str) -> None:
    """Refuses JSON with a key that is there twice: Python keeps the last, without a word.

    Raises:
        ValueError: If one is, with different values.
    """

    def one_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found and found[key] != value:
                raise ValueError(
                    f"the key {key!r} is there twice, with {reprlib.repr(found[key])} and "
                    f"{reprlib.repr(value)}; keep one, or give the other a name of its own"
                )
            found[key] = value
        return found

    # Where the predictor reads lines of another format, there is nothing to check.
    with suppress(json.JSONDecodeError):
        json.loads(line, object_pairs_hook=one_of_each)


def numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number in the file."""
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix("\ufeff") if number == 1 else line
        if text and not text.isspace():
            yield number, text


def to_json_line(content: Mapping[str, Any]) -> str:
    """One line of valid JSON, ending in a newline.

    Text stays readable where everything that the line may be written to is UTF-8; AllenNLP opens
    its output file in the locale's encoding, and there the line is ASCII.

    Args:
        content: Anything that `to_jsonable` takes.
    """
    text = utf8_json_line(content)
    encodings = [locale.getpreferredencoding(False), getattr(sys.stdout, "encoding", None)]
    if all(codecs.lookup(name).name == "utf-8" for name in encodings if name):
        return text
    return json.dumps(json.loads(text)) + "\n"


def utf8_json_line(content: Mapping[str, Any]) -> str:
    """As `to_json_line` where everything is UTF-8, whatever the locale is: for files that are
    opened as such.

    Args:
        content: Anything that `to_jsonable` takes.
    """
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(to_jsonable(content), ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape and UTF-8 cannot
        return json.dumps(json.loads(text)) + "\n"
    return _UNSAFE_IN_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def to_jsonable(value: Any) -> Any:
    """The value in JSON's own types: arrays and tensors as lists, what is not finite as None.

    Args:
        value: A model's output, nested as it likes; what has no JSON is put as its text.
    """
    # First by type, which most values have exactly: `isinstance` takes its time.
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is int:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is list:
        return [to_jsonable(item) for item in value]
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, Tensor):
        return to_jsonable(value.detach().cpu().tolist())
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        return to_jsonable(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((to_jsonable(item) for item in value), key=str)
    if callable(getattr(value, "to_json", None)):
        return to_jsonable(value.to_json())
    return str(value)


class ErrorLine(dict[str, Any]):
    """The line of an input that cannot be interpreted: what it is in JSON, and the error.

    Args:
        error: The error.
        message: What it says.
        number: The number of the input's line, None if unknown.

    Attributes:
        error: The error.
        message: `line 3: KeyError: …`.
    """

    def __init__(self, error: Exception, message: str, number: int | None) -> None:
        kind = type(error).__name__
        super().__init__(error={"type": kind, "message": message, "line": number})
        self.error = error
        self.message = f"{'' if number is None else f'line {number}: '}{kind}: {message}"


def error_line(
    given: Any, read: Any, error: Exception, prediction: JsonDict | None = None
) -> ErrorLine:
    """The line of an input; it is written even where there is no memory for what it shows.

    Args:
        given: The input as it was given.
        read: The copy of it that the predictor got.
        error: Why it cannot be interpreted.
        prediction: What the model predicted, None if it did not get so far.
    """
    number = given.number if isinstance(given, InputLine) else None
    line = ErrorLine(error, message(error, read), number)
    parts = {"input": given} if prediction is None else {"prediction": prediction, "input": given}
    for name, value in parts.items():
        try:
            line[name] = shown(value)
        except Exception as failure:
            if not out_of_memory(failure):
                raise
            let_go(failure)
            line[name] = None
    return line


def message(error: Exception, read: Any) -> str:
    """What an error says, about an input or about the model's own.

    Args:
        error: The error.
        read: The input as the predictor got it.
    """
    if not isinstance(error, KeyError):
        return str(error) or repr(error)
    if misses(read, error):
        keys = ", ".join(repr(key) for key in read) or "none"
        return f"no key {error}; the keys of the input are: {keys}"
    place = place_of(error)
    return f"no key {error}, looked for in {place or 'the model'}; it is none of the input's"


def shown(given: Any) -> Any:
    """An input as JSON, for people to find it."""
    if isinstance(given, InputLine):
        given = given.given
    if isinstance(given, Instance):
        try:
            return to_jsonable(given.human_readable_dict())
        except Exception:  # fields of other people's may have no readable form
            return str(given)
    return to_jsonable(given)
