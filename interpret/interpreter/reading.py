"""A predictor's reading of an input, with errors that say what is wrong with the input."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from typing import Any

from allennlp.common.util import JsonDict
from allennlp.predictors import Predictor

from ..errors import InterpretationError
from .input_keys import InputKeys, misses, place_of


def read_input(
    predictor: Predictor, read: Callable[[JsonDict], Any], json: JsonDict, reads: bool = False
) -> Any:
    """The result of a predictor's method for a copy of an input.

    Args:
        predictor: The predictor.
        read: The method.
        json: The input.
        reads: Whether the method only reads the input, as `_json_to_instance` does: no model runs.

    Raises:
        InterpretationError: If it fails because of the input's values (also empty ones), or of a
            key it lacks.
    """
    given = json.copy() if isinstance(json, InputKeys) else InputKeys(json)
    try:
        return read(given)
    except KeyError as error:
        if not misses(given, error):
            raise
        raise InterpretationError(
            f"the input lacks the key {error} that {type(predictor).__name__} reads; it has "
            f"{', '.join(map(repr, json)) or 'none'}"
        ) from error
    except (TypeError, ValueError, AttributeError, AssertionError, IndexError) as error:
        own = {key: value for key, value in json.items() if key in given.read}
        what = "; ".join(no_texts(own))
        if not what and not reads and read != predictor._json_to_instance:
            raise  # probably an error of the model
        what = what or "; ".join(empty_texts(own))
        if not what and isinstance(error, AssertionError | IndexError):
            raise  # of the predictor's or its reader's own
        if not what:
            what = _cause(predictor, own, error)
        raise InterpretationError(
            f"{type(predictor).__name__} cannot read the input: {what}"
        ) from error


def lone_surrogate(text: str) -> int | None:
    """The place of the first lone surrogate (half a character), which no tokenizer takes."""
    return next((n for n, one in enumerate(text) if "\ud800" <= one <= "\udfff"), None)


def no_texts(json: JsonDict) -> Iterator[str]:
    """The values in an input that no predictor can read: null, and texts with lone surrogates.

    Args:
        json: The input, or the part of it that was read.
    """
    for key, value in json.items():
        for name, one in _leaves(repr(key), value):
            place = lone_surrogate(one) if isinstance(one, str) else None
            if one is None:
                yield f"{name} is null, and a text is wanted"
            elif place is not None:
                yield f"{name} has half a character, {one[place]!r} at place {place}"


def empty_texts(json: JsonDict) -> Iterator[str]:
    """The values in an input that have no word, if there is nothing else but texts.

    Args:
        json: The input, or the part of it that was read.
    """
    leaves = [leaf for key, value in json.items() for leaf in _leaves(repr(key), value)]
    if not all(isinstance(one, str) for _, one in leaves):
        return
    for key, value in json.items():
        if value == []:
            yield f"{key!r} is an empty list; leave the input out, or give it texts"
    for name, one in leaves:
        if not one.strip():
            yield f"{name} is empty; leave the input out, or give it a text"


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(f"{name}[{number}]", one)
    else:
        yield name, value


def _cause(predictor: Predictor, read: JsonDict, error: Exception) -> str:
    """The likely cause of an error, from the values that were read of an input."""
    types = ", ".join(
        f"{key!r} is {reprlib.repr(value)} of type {type(value).__name__}"
        for key, value in read.items()
        if not isinstance(value, str)
    )
    place = place_of(error)
    own = {type(predictor).__module__, type(predictor._dataset_reader).__module__}
    if types and place.rpartition(".")[0] not in own:
        # A tokenizer's error message addresses its caller, not the user.
        return f"{types}, where mostly a text is wanted ({type(error).__name__})"
    says = f"it says {type(error).__name__}: {error}"
    return f"{types}; {says}" if types else f"{says}; check the type of the value of each key"
