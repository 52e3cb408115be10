"""The words of a text, for any language that puts spaces between them."""

from __future__ import annotations

import unicodedata

from ..explanation import Span


def word_spans(text: str) -> list[Span]:
    """Where the words of a text stand.

    What stands between spaces is a word; punctuation before and after it are words of their own,
    one for each character: `(don't` `!` is `(`, `don't`, `!`.

    Returns:
        Character spans, in order, that cover all but the spaces.
    """
    spans: list[Span] = []
    end = 0
    while end < len(text):
        start = end
        end = start + 1
        if text[start].isspace():
            continue
        while end < len(text) and not text[end].isspace():
            end += 1
        spans += _peeled(text, start, end)
    return spans


def _peeled(text: str, start: int, end: int) -> list[Span]:
    first, last = start, end
    while first < last and _is_punctuation(text[first]):
        first += 1
    while last > first and _is_punctuation(text[last - 1]):
        last -= 1
    before = [(place, place + 1) for place in range(start, first)]
    after = [(place, place + 1) for place in range(last, end)]
    return [*before, *([(first, last)] if first < last else []), *after]


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"
