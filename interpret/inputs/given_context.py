"""The part of a text that an input names as its context: `{"prompt": "…", "context": "…"}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InterpretationError
from ..explanation import Span
from .segments import segment_spans

KEY = "context"
"""The key of the context. The predictor never sees it."""


def context_spans(json: Mapping[str, Any], key: str) -> list[Span]:
    """The characters of an input's text that are its context.

    Args:
        json: The input. Its context is a part of the text, word for word, or a span `[start, end)`
            of its characters, or a list of such.
        key: The key of the text.

    Raises:
        InterpretationError: If there is no context, or it is not in the text.
    """
    text, given = json.get(key), json.get(KEY)
    if not isinstance(text, str):
        raise InterpretationError(
            f"the context is a part of the text under {key!r}, and there is none; give the text "
            "itself there, also of a chat"
        )
    if isinstance(given, str) and given.strip():
        return [_found(given, text, key)]
    pair = isinstance(given, (list, tuple)) and len(given) == 2 and all(map(_is_place, given))
    spans = [given] if pair else given
    if not isinstance(spans, (list, tuple)) or not spans:
        raise InterpretationError(
            f"{KEY!r} is a part of {key!r}, word for word, or spans [start, end) of its "
            f"characters, not {given!r:.100}"
        )
    return sorted(_checked(span, text, key) for span in spans)


def sentences_of(text: str, spans: Sequence[Span]) -> list[Span]:
    """The sentences of some parts of a text, `[start, end)` in the whole text."""
    return [
        (start + first, start + last)
        for start, end in spans
        for first, last in segment_spans(text[start:end], "sentence")
    ]


def _found(part: str, text: str, key: str) -> Span:
    start = text.find(part)
    if start < 0:
        raise InterpretationError(
            f"{KEY!r} is not a part of {key!r}: put it there, where the model is to read it "
            f"({part!r:.60})"
        )
    if text.find(part, start + 1) >= 0:
        raise InterpretationError(
            f"{KEY!r} is in {key!r} more than once; name the place by its characters, "
            f"{[start, start + len(part)]}"
        )
    return start, start + len(part)


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _checked(span: Any, text: str, key: str) -> Span:
    pair = list(span) if isinstance(span, (list, tuple)) else []
    fits = len(pair) == 2 and all(map(_is_place, pair)) and 0 <= pair[0] < pair[1] <= len(text)
    if not fits:
        raise InterpretationError(
            f"{KEY!r}: {span!r:.100} is no span [start, end) of the {len(text)} characters of "
            f"{key!r}"
        )
    return pair[0], pair[1]
