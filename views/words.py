"""Explanations by word: the scores of a word's tokens added up, for views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import fsum

from allennlp_saliency.interpret.explanation import (
    Explanation,
    InputAttribution,
    Interaction,
    JsonDict,
    Span,
)
from allennlp_saliency.interpret.inputs.token_groups import grouped
from allennlp_saliency.views.tokens import unmarked


def in_words(explanation: Explanation) -> Explanation:
    """An explanation whose tokens are words.

    The sum over a field does not change. A token that reaches into two words makes them one; one
    that stands nowhere in the text stays by itself. Standard errors are left out: those of a sum
    are not known.
    """
    groups = {one.field: word_groups(one) for one in explanation.inputs}
    place = {
        (field, token): (field, number)
        for field, own in groups.items()
        for number, group in enumerate(own)
        for token in group
    }
    pairs: dict[tuple[tuple[str, int], tuple[str, int]], list[float]] = {}
    for one in explanation.interactions:
        first, second = place[one.first], place[one.second]
        if first != second:
            pairs.setdefault((first, second), []).append(one.value)
    return replace(
        explanation,
        inputs=[_merged(one, groups[one.field]) for one in explanation.inputs],
        target=_target(explanation, groups),
        interactions=[Interaction(*pair, fsum(values)) for pair, values in pairs.items()],
    )


def word_groups(one: InputAttribution) -> list[list[int]]:
    """The numbers of each word's tokens, in order."""
    text, spans = _placed(one)
    return [group.tokens for group in grouped(one.tokens, spans, text, "word")]


def _placed(one: InputAttribution) -> tuple[str, list[Span | None]]:
    """The text of a field, rebuilt from its tokens where it is not known, and the characters of
    each token in it; None for one that is no part of it."""
    if one.text is not None:
        return one.text, list(one.offsets)
    text, spans = "", list[Span | None]()
    for piece in unmarked(one.tokens, one.offsets):
        if text and not piece.glued:
            text += " "
        spans.append((len(text), len(text) + len(piece.text)))
        text += piece.text
    return text, spans


def _merged(one: InputAttribution, groups: Sequence[Sequence[int]]) -> InputAttribution:
    pieces = unmarked(one.tokens, one.offsets)
    offsets: list[Span | None] = []
    for group in groups:
        known = [span for span in (one.offsets[n] for n in group) if span is not None]
        offsets.append((known[0][0], known[-1][1]) if known else None)
    names = []
    for group, span in zip(groups, offsets, strict=True):
        joined = "".join(pieces[n].text for n in group)
        if one.text is not None and span is not None:
            joined = one.text[slice(*span)].strip()
        names.append(one.tokens[group[0]] if len(group) == 1 else joined)
    scores = [fsum(one.attributions[n] for n in group) for group in groups]
    return replace(one, tokens=names, offsets=offsets, attributions=scores, standard_errors=None)


def _target(explanation: Explanation, groups: dict[str, list[list[int]]]) -> JsonDict:
    """The target, whose positions are those of words now."""
    target = explanation.target
    only = explanation.inputs[0].field if len(explanation.inputs) == 1 else ""
    own = groups.get(str(target.get("field", only)))
    if own is None:
        return target
    changed = {
        key: [n for n, group in enumerate(own) if not {*positions}.isdisjoint(group)]
        for key, positions in target.items()
        if isinstance(positions, (list, tuple))
        and (key == "positions" or key.endswith("_positions"))
    }
    return {**target, **changed}
