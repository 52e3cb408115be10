"""What a request asks for, checked against the limits before a model sees it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter

from allennlp_saliency.interpret.errors import close_names
from allennlp_saliency.interpret.explanation import JsonDict

from .errors import Refused
from .forms import BASES, names_a_file
from .limits import Limits

_NAME = re.compile(r"[A-Za-z0-9][\w-]*")
_SEEDS = frozenset(("seed",))


def read_json(body: bytes, limits: Limits) -> Any:
    """A body as JSON.

    Raises:
        Refused: If it is none, has numbers that are not finite, or lies too deep.
    """
    try:
        found = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {type(error).__name__}") from error
    for depth, value in _walk(found):
        if depth > limits.depth:
            raise Refused(400, f"the body is nested deeper than {limits.depth} levels")
        if isinstance(value, float) and not math.isfinite(value):
            raise Refused(400, "the body has a number that is not finite")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(text)


def checked_inputs(inputs: Any, limits: Limits) -> JsonDict:
    """An input of a predictor.

    Raises:
        Refused: If it is no object, its texts are too long, or a number is too large.
    """
    if not isinstance(inputs, dict) or not inputs:
        raise Refused(422, 'inputs is an object such as {"sentence": "…"}')
    characters = _characters(inputs)
    if characters > limits.characters:
        raise Refused(
            413,
            f"the texts have {characters:,} characters together; here they may have "
            f"{limits.characters:,} (--max-characters of the server changes the limit)",
        )
    for _, value in _walk(inputs):
        if _is_number(value) and abs(value) > limits.number:
            raise Refused(422, f"numbers of an input are at most {limits.number:,}, not {value:g}")
    return inputs


def checked_interpreter(given: Any, inputs: JsonDict, limits: Limits) -> JsonDict:
    """The parameters of an interpreter, its name as `type`.

    Args:
        given: What a request has for it.
        inputs: The input that it is for.
        limits: The limits.

    Raises:
        Refused: If there is no such interpreter, a name is none of a registered class, a parameter
            is a file, or a number is too large.
    """
    if isinstance(given, str):
        given = {"type": given}
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        raise Refused(
            422, 'interpreter is a name, or an object with one: {"type": "integrated-gradients"}'
        )
    name, available = given["type"], AnyInterpreter.list_available()
    # A dotted name would be imported.
    if name not in available:
        raise Refused(422, f"there is no interpreter {name!r:.100}; {close_names(name, available)}")
    for path, value in _named(given):
        if path[-1:] == ("matrices",) and value and _characters(inputs) > limits.attention:
            raise Refused(
                413, f"matrices are given here for texts of at most {limits.attention:,} characters"
            )
        # At any depth: a method may have a baseline, a removal or another method as a parameter.
        if isinstance(value, Mapping):
            _refuse_files(value)
        if path[-1:] == ("type",) and not (isinstance(value, str) and _NAME.fullmatch(value)):
            raise Refused(422, f"{'.'.join(path)} is a registered name, not {value!r:.100}")
        if isinstance(value, Mapping) and not _SEEDS.isdisjoint(path):
            raise Refused(422, "a seed is a whole number")
        if _is_number(value) and not _SEEDS & set(path[-1:]) and abs(value) > limits.number:
            raise Refused(
                422,
                f"{'.'.join(path)} is at most {limits.number:,} here, not {value:g} (--max-number "
                "of the server changes the limit)",
            )
    return given


def _refuse_files(parameters: Mapping[str, Any]) -> None:
    """Refuses parameters that name a file of the server, of whatever kind of class they are."""
    name = parameters.get("type")
    bases: tuple[Any, ...] = (AnyInterpreter, *BASES.values())
    known = [base.by_name(name) for base in bases if name in base.list_available()]
    for key, value in parameters.items():
        plain = value is None or isinstance(value, (bool, int))
        if not plain and any(names_a_file(cls, str(key)) for cls in (*known, object)):
            raise Refused(422, f"{key!r} names a file of the server: here it is true or false")


def _characters(inputs: JsonDict) -> int:
    """The length of all texts of an input, its keys included."""
    return sum(len(value) for _, value in _walk(inputs) if isinstance(value, str))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _walk(value: Any) -> Iterator[tuple[int, Any]]:
    """All values in a value and their depths; who sends it chooses these, so no recursion."""
    pending = [(0, value)]
    while pending:
        depth, one = pending.pop()
        yield depth, one
        if isinstance(one, dict):
            pending += [(depth + 1, key) for key in one]
            pending += [(depth + 1, item) for item in one.values()]
        elif isinstance(one, list):
            pending += [(depth + 1, item) for item in one]


def _named(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All values in parameters, which are not deep, with the keys that lead to them."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _named(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _named(item, path)
