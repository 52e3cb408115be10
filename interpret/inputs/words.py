"""The words of a text, for any language that puts spaces between them."""

from __future__ import annotations

import regex

from ..explanation import Span

_SPACE = r"\s\x1c-\x1f"  # as `str.isspace` has it
_PUNCTUATION = r"\p{P}\p{S}"
_INSIDE = rf"[^{_SPACE}{_PUNCTUATION}]"
_WORD = regex.compile(rf"{_INSIDE}(?:[^{_SPACE}]*{_INSIDE})?|[{_PUNCTUATION}]")


def word_spans(text: str) -> list[Span]:
    """Where the words of a text stand.

    What stands between spaces is a word; punctuation before and after it are words of their own,
    one for each character: `(don't` `!` is `(`, `don't`, `!`.

    Returns:
        Character spans, in order, that cover all but the spaces.
    """
    return [match.span() for match in _WORD.finditer(text)]
