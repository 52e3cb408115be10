"""Scores of words out of scores of tokens, whatever the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import fsum

from allennlp.data import Instance, Token

from ..explanation import Explanation, InputAttribution, JsonDict, Span
from ..inputs.texts import text_items, token_spans, word_spans

_MARKS = ("##", "Ġ", "▁")
_SPACES = ("Ġ", "▁")


@dataclass(frozen=True)
class _Unit:
    """The numbers of tokens that count as one, and the characters of the word; None for no part of
    the text."""

    tokens: list[int]
    span: Span | None


def to_words(explanation: Explanation, texts: Mapping[str, str] | None = None) -> Explanation:
    """An explanation whose tokens are words: the scores of a word's tokens are added up.

    The sum over a field does not change. A token that reaches into two words
    makes them one; a token of nothing but space goes to the word behind it; a token that stands
    nowhere in the text (a special token) stays by itself.

    Args:
        explanation: What an interpreter returned.
        texts: The text of each input by its name (`InputAttribution.field`). A missing text is
            rebuilt from its tokens, by their offsets where they have them.
    """
    units, inputs = {}, []
    for one in explanation.inputs:
        text = (texts or {}).get(one.field)
        units[one.field] = own = _units_of(one, text)
        scores = [fsum(one.attributions[number] for number in unit.tokens) for unit in own]
        names, spans = [_name(one, unit, text) for unit in own], [unit.span for unit in own]
        inputs.append(replace(one, tokens=names, offsets=spans, attributions=scores))
    return replace(explanation, inputs=inputs, target=_target(explanation, units))


def texts_of(instance: Instance) -> dict[str, str]:
    """The texts of an instance's fields, by their names, as far as the fields keep them as
    `source_text`."""
    texts = {
        item.name(name): getattr(item.text, "source_text", None)
        for name, field in instance.fields.items()
        for item in text_items(field)
    }
    return {name: text for name, text in texts.items() if text is not None}


def _name(one: InputAttribution, unit: _Unit, text: str | None) -> str:
    if unit.span is None:
        return one.tokens[unit.tokens[0]]
    if text is not None:
        return text[slice(*unit.span)]
    return "".join(_bare(one.tokens[number]) for number in unit.tokens)


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


def _units_of(one: InputAttribution, text: str | None) -> list[_Unit]:
    """The words of an input, which may be several texts that a reader has put together: then each
    counts its characters from 0."""
    starts = [0]
    last = -1
    for number, span in enumerate(one.offsets):
        if span is not None and text is None and span[0] < last:
            starts.append(number)
        last = last if span is None else span[0]
    units = []
    for start, end in pairwise([*starts, len(one.tokens)]):
        offsets = one.offsets[start:end]
        own = _units(offsets, text or _text_of(one.tokens[start:end], offsets))
        units += [_Unit([start + number for number in unit.tokens], unit.span) for unit in own]
    return units


def _units(offsets: Sequence[Span | None], text: str) -> list[_Unit]:
    words = word_spans(text)
    touched = [[] if span is None else _touched(words, span) for span in offsets]
    # Each word's number, or that of an earlier word that a token makes one with it.
    same = list(range(len(words)))
    for own in touched:
        for word in own:
            same[word] = min(same[own[0]], same[word])
    grouped: dict[tuple[str, int], list[int]] = {}
    for number, own in enumerate(touched):
        key = ("word", same[own[0]]) if own else ("token", number)
        grouped.setdefault(key, []).append(number)
    units = []
    for (kind, first), tokens in grouped.items():
        span = offsets[tokens[0]]
        if kind == "word":
            together = [words[number] for number, other in enumerate(same) if other == first]
            span = together[0][0], together[-1][1]
        units.append(_Unit(tokens, span))
    return units


def _touched(words: Sequence[Span], span: Span) -> list[int]:
    """The words that a token has characters of; of one that has none, the next word."""
    start, end = span
    own = [n for n, (first, last) in enumerate(words) if first < end and start < last]
    return own or [n for n, (_, last) in enumerate(words) if start < last][:1]


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


def _target(explanation: Explanation, units: Mapping[str, Sequence[_Unit]]) -> JsonDict:
    """The target, whose positions are those of words now."""
    target = explanation.target
    only = explanation.inputs[0].field if len(explanation.inputs) == 1 else ""
    field: str = target.get("field", only)
    if field not in units:
        return target
    found = {}
    for key, positions in target.items():
        if key == "positions" or key.endswith("_positions"):
            wanted = set(positions)
            found[key] = [n for n, one in enumerate(units[field]) if wanted & set(one.tokens)]
    return {**target, **found}
