"""The line of an input that cannot be interpreted."""

from __future__ import annotations

from typing import Any

from allennlp.data import Instance

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.interpreter.reading import misses, place_of
from allennlp_saliency.interpret.space.packing import let_go, out_of_memory
from allennlp_saliency.predictors.saliency.json_lines import InputLine, to_jsonable


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
    if prediction is not None:
        line.update(_copied("prediction", prediction))
    line.update(_copied("input", given))
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


def _copied(name: str, value: Any) -> JsonDict:
    """A part of an error's line; without it where memory does not suffice for a copy."""
    try:
        return {name: shown(value)}
    except Exception as error:
        if not out_of_memory(error):
            raise
        let_go(error)
        return {name: None}


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
