"""A text without some of its characters, as one would write it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from ..explanation import Span


def without(text: str, spans: Iterable[Span]) -> str:
    """A text without some spans.

    Of the space on both sides of what is deleted one stays, an empty line rather than a blank; none
    stays at the ends of the text. Where a mark between two words is deleted, a blank takes its
    place; the rest of a word of which a part is deleted stays together.

    Args:
        text: The text.
        spans: Characters `[start, end)` in any order; they may overlap.
    """
    deleted = _merged(text, spans)
    if not deleted:
        return text
    kept = text[: deleted[0][0]]
    for (start, end), (following, _) in pairwise([*deleted, (len(text), len(text))]):
        kept = _joined(kept, text[start:end], text[end:following])
    return kept


def _merged(text: str, spans: Iterable[Span]) -> list[Span]:
    """Spans in order, without the space at their ends; those with only space between them as
    one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        part = text[start:end]
        if not part.strip():
            continue
        start, end = end - len(part.lstrip()), start + len(part.rstrip())
        if merged and not text[merged[-1][1] : start].strip():
            start, end = merged[-1][0], max(merged[-1][1], end)
            merged.pop()
        merged.append((start, end))
    return merged


def _joined(left: str, deleted: str, right: str) -> str:
    """What stands before and behind something that is deleted, side by side."""
    before, behind = left.rstrip(), right.lstrip()
    if not before or not behind:
        return before + behind
    gaps = left[len(before) :], right[: len(right) - len(behind)]
    if all(gaps):
        return before + max(gaps, key=lambda gap: gap.count("\n")) + behind
    part_of_word = deleted[0].isalnum() and deleted[-1].isalnum()
    if not any(gaps) and before[-1].isalnum() and behind[0].isalnum() and not part_of_word:
        return f"{before} {behind}"
    return left + right
