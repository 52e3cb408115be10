"""Scores of words, sentences or paragraphs out of scores of tokens, whatever the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import fsum

from allennlp.data import Instance

from ..explanation import Explanation, InputAttribution, Interaction, JsonDict
from ..inputs.json_texts import json_texts, trace_all
from ..inputs.origin import Origin
from ..inputs.texts import text_items
from ..inputs.token_groups import TokenGroup, group_by_spans, group_name, grouped


def to_words(explanation: Explanation, texts: Mapping[str, str] | None = None) -> Explanation:
    """An explanation whose tokens are words; see `to_segments`."""
    return to_segments(explanation, "word", texts)


def to_segments(
    explanation: Explanation, level: str, texts: Mapping[str, str] | None = None
) -> Explanation:
    """An explanation whose tokens are words, sentences or paragraphs.

    The scores of their tokens are added up, so the sum over a field does not change. A token that
    reaches into two words makes them one; a token of nothing but space goes to the word behind it;
    a token that stands nowhere in the text (a special token) stays by itself.

    Args:
        explanation: What an interpreter returned.
        level: "word", "sentence" or "paragraph".
        texts: The text of each input by its name (`InputAttribution.field`). A missing text is
            rebuilt from its tokens, by their offsets where they have them.
    """
    texts = texts or {}
    groups = {
        one.field: grouped(one.tokens, one.offsets, texts.get(one.field), level)
        for one in explanation.inputs
    }
    return _regrouped(explanation, groups, texts)


def to_given_units(
    explanation: Explanation, instance: Instance, origin: Origin, level: str
) -> Explanation:
    """An explanation whose tokens are the units that the user gives; what is in none of them stays
    as it is.

    Args:
        explanation: What an interpreter returned.
        instance: The complete instance.
        origin: The input that it comes from.
        level: What the tokens of texts are that have no such units.
    """
    json = origin.json or {}
    fields = [name for name, field in instance.fields.items() if text_items(field)]
    traced = trace_all(instance, fields, json)
    texts = {name: json_texts(json)[path] for name, (path, _) in traced.items()}
    groups = {}
    for one in explanation.inputs:
        path, offsets = traced.get(one.field, ((), one.offsets))
        spans = origin.units.get(path, ())
        if level != "token" and not spans:
            groups[one.field] = grouped(one.tokens, one.offsets, texts.get(one.field), level)
        else:
            own = [group for group in group_by_spans(offsets, spans) if group.tokens]
            groups[one.field] = sorted(own, key=lambda group: group.tokens)
    given = {name: text for name, text in texts.items() if traced[name][0] in origin.units}
    return _regrouped(explanation, groups, given)


def _regrouped(
    explanation: Explanation, groups: Mapping[str, Sequence[TokenGroup]], texts: Mapping[str, str]
) -> Explanation:
    inputs = [_by_group(one, groups[one.field], texts.get(one.field)) for one in explanation.inputs]
    return replace(
        explanation,
        inputs=inputs,
        target=_target(explanation, groups),
        interactions=_interactions(explanation, groups),
    )


def _by_group(
    one: InputAttribution, groups: Sequence[TokenGroup], text: str | None
) -> InputAttribution:
    errors = one.standard_errors
    return replace(
        one,
        tokens=[group_name(group, one.tokens, text) for group in groups],
        offsets=[group.span for group in groups],
        attributions=_sums(one.attributions, groups),
        standard_errors=None if errors is None else _sums(errors, groups),
    )


def _sums(numbers: Sequence[float], groups: Sequence[TokenGroup]) -> list[float]:
    return [fsum(numbers[token] for token in group.tokens) for group in groups]


def _interactions(
    explanation: Explanation, groups: Mapping[str, Sequence[TokenGroup]]
) -> list[Interaction]:
    """The interactions of groups: the sums of their tokens'. What tokens of one group do together
    is part of its score."""
    number = {
        (field, token): (field, place)
        for field, own in groups.items()
        for place, group in enumerate(own)
        for token in group.tokens
    }
    sums: dict[tuple[tuple[str, int], tuple[str, int]], list[float]] = {}
    for one in explanation.interactions:
        first, second = number[one.first], number[one.second]
        if first != second:
            sums.setdefault((first, second), []).append(one.value)
    return [Interaction(first, second, fsum(own)) for (first, second), own in sums.items()]


def _target(explanation: Explanation, groups: Mapping[str, Sequence[TokenGroup]]) -> JsonDict:
    """The target, whose positions are those of the groups now."""
    target = explanation.target
    only = explanation.inputs[0].field if len(explanation.inputs) == 1 else ""
    field: str = target.get("field", only)
    if field not in groups:
        return target
    found = {}
    for key, positions in target.items():
        if key == "positions" or key.endswith("_positions"):
            wanted = set(positions)
            own = [
                n for n, group in enumerate(groups[field]) if not wanted.isdisjoint(group.tokens)
            ]
            found[key] = own
    return {**target, **found}
