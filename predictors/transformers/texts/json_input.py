"""The keys of its JSON that a predictor reads, and what each of them holds."""

from __future__ import annotations

import difflib
import inspect
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.interpreter.reading import lone_surrogate

# "max_tokens" is meant to be close to "max_new_tokens", "tokens" is not.
_CLOSE = 0.8


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Attributes:
        name: What it is called.
        fits: Whether a value is one.
        elsewhere: What the key is called where other models are asked for the same.
        unless: The key that is given in its place.
    """

    name: str
    fits: Callable[[Any], bool]
    elsewhere: str | None = None
    unless: str | None = None


def _list_of(kind: type | tuple[type, ...]) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        value = _plain(value)
        return isinstance(value, (list, tuple)) and all(isinstance(one, kind) for one in value)

    return fits


def _plain(value: Any) -> Any:
    """A row of an array of numpy's as a list; anything else as it is."""
    return value.tolist() if isinstance(value, numpy.ndarray) and value.ndim == 1 else value


TEXT = Kind("a text", lambda value: isinstance(value, str))
TEXTS = Kind("a list of texts", _list_of(str))
CHAT = Kind('a list of messages, {"role": "…", "content": "…"} each', _list_of(Mapping))
NUMBER = Kind(
    "a whole number", lambda value: isinstance(value, Integral) and not isinstance(value, bool)
)
SWITCH = Kind("true, false or a number", lambda value: isinstance(value, Real) and value == value)


def taken(json: Mapping[str, Any], keys: Mapping[str, Kind], read: Callable[..., Any]) -> Any:
    """A reader's instance for the keys of an input that it knows; other keys are the user's own.

    Args:
        json: The input.
        keys: What may be read, by key.
        read: The reader's method, whose parameters are called like the keys; None stands for a
            key that is not there if its parameter has a default.

    Raises:
        InterpretationError: If a key holds something of another kind, one that is missing has been
            misspelt, or one looks like another text for the task that would not be read.
        KeyError: If one is missing that has to be there.
    """
    defaults = {name: one.default for name, one in inspect.signature(read).parameters.items()}
    needed = [key for key in keys if defaults.get(key) is inspect.Parameter.empty]
    given = {
        key: json[key] for key in keys if key in json and (key in needed or json[key] is not None)
    }
    _check_spelling(json, keys)
    for key, value in given.items():
        if not keys[key].fits(value):
            raise InterpretationError(
                f"{key!r} is {keys[key].name}, not {reprlib.repr(value)} of type "
                f"{type(value).__name__}"
            )
        _check_characters(key, value)
    for key in needed:
        if key not in json:
            raise KeyError(key)
    _check_rest(json, keys)
    return read(**{key: _plain(value) for key, value in given.items()})


def _check_characters(key: str, value: Any) -> None:
    """Refuses text with half of a pair of surrogates, which no encoding has."""
    value = [*value.values()] if isinstance(value, Mapping) else _plain(value)
    if isinstance(value, (list, tuple)):
        for one in value:
            _check_characters(key, one)
    place = lone_surrogate(value) if isinstance(value, str) else None
    if place is not None:
        raise InterpretationError(
            f"{key!r} has half a character, {value[place]!r} at place {place}: a surrogate without "
            "its other half, as texts have that were cut or decoded wrongly; take it out, or put "
            "'\ufffd' in its place"
        )


def _check_rest(json: Mapping[str, Any], keys: Mapping[str, Kind]) -> None:
    """Refuses keys that look like more of what is read: of two sentences only one would be."""
    for other, value in json.items():
        # "sentence2", "sentence_b" or "Sentence" where "sentence" is read.
        name = other.lower() if isinstance(other, str) and other not in keys else ""
        key = re.sub(r"[\W_]*([0-9]+|[\W_][a-z])$", "", name)
        if key in keys and key in json and value is not None and keys[key].fits(value):
            raise InterpretationError(
                f"the input's key {other!r} looks like {key!r} and is not read; what is read is "
                f"{', '.join(map(repr, keys))}. Give the text by one of these, or take a name less "
                "like them for a key of your own"
            )


def _check_spelling(json: Mapping[str, Any], keys: Mapping[str, Kind]) -> None:
    missing = [key for key, kind in keys.items() if key not in json and kind.unless not in json]
    beginnings = tuple(key + separator for key in keys for separator in "_-. ")
    for other in json:
        if other in keys or not isinstance(other, str):
            continue
        name = other.lower()
        if any(map(str.isdigit, name)) or name.startswith(beginnings):
            # The name of something else: "sentence1", "sentence_id".
            continue
        meant = [key for key in missing if keys[key].elsewhere == other]
        alike = [key for key in missing if key[0] == name[:1] and keys[key].fits(json[other])]
        meant += difflib.get_close_matches(name, alike, 1, _CLOSE)
        if meant:
            raise InterpretationError(
                f"the input's key {other!r} is not read; did you mean {meant[0]!r}? What is read "
                f"is {', '.join(map(repr, keys))}; a key of your own needs a name less like these"
            )
