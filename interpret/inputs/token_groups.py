"""Tokens of a text that belong to one word, sentence or paragraph, whatever the tokenizer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from allennlp.data import Token

from ..explanation import Span
from .segments import segment_spans
from .texts import token_spans

_MARKS = ("##", "Ġ", "▁")
_SPACES = ("Ġ", "▁")


@dataclass(frozen=True)
class TokenGroup:
    """Tokens that count as one.

    Attributes:
        tokens: Their numbers, in order.
        span: The characters of the word, sentence or paragraph; None for a token that is no part of
            the text.
    """

    tokens: list[int]
    span: Span | None


def grouped(
    tokens: Sequence[str], offsets: Sequence[Span | None], text: str | None, level: str
) -> list[TokenGroup]:
    """The tokens of a field by word, sentence or paragraph.

    A token that reaches into two makes them one; a token of nothing but space goes to the one
    behind it; a token that stands nowhere in the text (a special token) stays by itself. The field
    may be several texts that a reader has put together: then each counts its characters from 0.

    Args:
        tokens: The tokens, as the tokenizer made them.
        offsets: Per token its characters, or None.
        text: The text; None to rebuild it from the tokens.
        level: "word", "sentence" or "paragraph".
    """
    starts = [0]
    last = -1
    for number, span in enumerate(offsets):
        if span is not None and text is None and span[0] < last:
            starts.append(number)
        last = last if span is None else span[0]
    groups = []
    for start, end in pairwise([*starts, len(tokens)]):
        spans = offsets[start:end]
        own = _grouped(spans, text or _text_of(tokens[start:end], spans), level)
        groups += [TokenGroup([start + number for number in one.tokens], one.span) for one in own]
    return groups


def group_by_spans(offsets: Sequence[Span | None], spans: Sequence[Span]) -> list[TokenGroup]:
    """The tokens of each span that a text is divided into, and then each of the others by itself.

    A token that reaches into two spans belongs to the first.

    Args:
        offsets: Per token its characters, or None.
        spans: Spans in order.
    """
    groups = [TokenGroup([], span) for span in spans]
    for number, own in enumerate(offsets):
        touched = (
            group
            for group, (start, end) in zip(groups, spans, strict=False)
            if own is not None and own[0] < end and start < own[1]
        )
        group = next(touched, None)
        if group is None:
            groups.append(TokenGroup([number], own))
        else:
            group.tokens.append(number)
    return groups


def group_name(group: TokenGroup, tokens: Sequence[str], text: str | None) -> str:
    """What a group is called: its characters of the text, else its tokens without their marks."""
    if group.span is None:
        return tokens[group.tokens[0]]
    if text is not None:
        return text[slice(*group.span)]
    return "".join(_bare(tokens[number]) for number in group.tokens)


def _bare(token: str) -> str:
    for mark in _MARKS:
        token = token.removeprefix(mark) if len(token) > len(mark) else token
    return token


def text_of_tokens(tokens: Sequence[Token]) -> str:
    """A text rebuilt from its tokens, each at its offset; where offsets are missing, the tokens one
    after the other."""
    spans = token_spans(tokens)
    names = [token.text or "" for token in tokens]
    if any(span is None for span in spans):
        return " ".join(map(_bare, names))
    return _text_of(names, spans).strip()


def _grouped(offsets: Sequence[Span | None], text: str, level: str) -> list[TokenGroup]:
    segments = segment_spans(text, level)
    ends = [end for _, end in segments]
    owners: dict[int, int] = {}
    # Each segment's number, or that of an earlier one that a token joins it with.
    same = list(range(len(segments)))
    for number, span in enumerate(offsets):
        touched = [] if span is None else _touched(segments, ends, span)
        for segment in touched:
            same[segment] = min(same[touched[0]], same[segment])
        if touched:
            owners[number] = touched[0]
    grouped: dict[tuple[str, int], list[int]] = {}
    for number in range(len(offsets)):
        owner = owners.get(number)
        key = ("token", number) if owner is None else ("segment", same[owner])
        grouped.setdefault(key, []).append(number)
    extents = _extents(segments, same)
    return [
        TokenGroup(tokens, extents[key[1]] if key[0] == "segment" else offsets[tokens[0]])
        for key, tokens in grouped.items()
    ]


def _touched(segments: Sequence[Span], ends: Sequence[int], span: Span) -> list[int]:
    """The segments that a token has characters of; of one that has none, the next word."""
    start, end = span
    # Segments are in order: a text of 10,000 words is not searched for each of its tokens.
    first = last = bisect_right(ends, start)
    while last < len(segments) and segments[last][0] < end:
        last += 1
    return list(range(first, max(last, min(first + 1, len(segments)))))


def _extents(segments: Sequence[Span], same: Sequence[int]) -> dict[int, Span]:
    """By the first of segments that tokens have joined where they begin and end."""
    found: dict[int, Span] = {}
    for segment, first in zip(segments, same, strict=True):
        found[first] = (found.get(first, segment)[0], segment[1])
    return found


def _text_of(tokens: Sequence[str], offsets: Sequence[Span | None]) -> str:
    """A text rebuilt from its tokens, each at its offset as far as it fits there."""
    length = max((span[1] for span in offsets if span is not None), default=0)
    text = [" "] * length
    for token, span in zip(tokens, offsets, strict=True):
        if span is not None:
            start, end = span
            text[start:end] = _characters(token, end - start)
    return "".join(text)


def _characters(token: str, count: int) -> str:
    """A token as so many characters of a text; the space before it where its mark stands for one
    and they include it."""
    bare = _bare(token)
    if token in _MARKS:
        bare = ""
    spaces = count - len(bare)
    if spaces == 0 or (token.startswith(_SPACES) and 0 < spaces <= len(token)):
        return " " * spaces + bare
    return "x" * count
