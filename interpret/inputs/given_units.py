"""Units that the user gives beside a text: `{"text": "…", "units": {"text": [[0, 57]]}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InterpretationError, close_names
from ..explanation import JsonDict, Span
from .json_texts import Path, json_texts, path_name

KEY = "units"
"""The key of the units. The predictor never sees it."""

GivenUnits = Mapping[Path, Sequence[Span]]
"""By the path of a text the characters of its units, in order."""


def take_units(json: Any) -> tuple[Any, GivenUnits]:
    """An input without the units that the user gives, and these; anything else as it is.

    Args:
        json: The input.

    Raises:
        InterpretationError: If they are not spans of texts of the input.
    """
    if not isinstance(json, dict) or not isinstance(json.get(KEY), dict):
        return json, {}
    rest = {key: value for key, value in json.items() if key != KEY}
    texts = json_texts(rest)
    paths = {path_name(path): path for path in texts}
    units: dict[Path, list[Span]] = {}
    for name, spans in json[KEY].items():
        if name not in paths:
            known = close_names(str(name), list(paths))
            raise InterpretationError(f"units: the input has no text {name!r}; {known}")
        units[paths[name]] = _checked(name, spans, texts[paths[name]])
    return rest, units


def without_units(json: JsonDict) -> JsonDict:
    """An input without the key of the units, whatever they are."""
    given = isinstance(json, dict) and isinstance(json.get(KEY), dict)
    return {key: one for key, one in json.items() if key != KEY} if given else json


def _checked(name: str, spans: Any, text: str) -> list[Span]:
    if not isinstance(spans, (list, tuple)) or not spans:
        raise InterpretationError(
            f"units of {name!r}: give a list of spans [start, end), not {spans!r:.100}"
        )
    found: list[Span] = []
    for span in spans:
        pair = list(span) if isinstance(span, (list, tuple)) else []
        if len(pair) != 2 or not all(type(place) is int for place in pair):
            raise InterpretationError(f"units of {name!r}: {span!r:.100} is no span [start, end)")
        start, end = pair
        if not 0 <= start < end <= len(text):
            raise InterpretationError(
                f"units of {name!r}: {pair} is not within the text, which has {len(text)} "
                "characters, or is empty"
            )
        if not text[start:end].strip():
            raise InterpretationError(f"units of {name!r}: there is nothing but space in {pair}")
        if found and start < found[-1][1]:
            raise InterpretationError(
                f"units of {name!r}: {pair} begins before {list(found[-1])} ends; give spans in "
                "order that do not overlap"
            )
        found.append((start, end))
    return found
