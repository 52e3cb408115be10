"""The texts that the fields of an explanation were made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from allennlp.data import Instance

from ..explanation import Explanation, InputAttribution, JsonDict, Span, fits
from ..inputs.json_texts import spans_behind


def with_texts_behind(
    explanation: Explanation, instance: Instance, json: JsonDict | None
) -> Explanation:
    """An explanation whose fields have their texts, as far as these are known.

    Where the tokenizer gave no offsets, those that were found in the text take their place. A field
    that a reader has put together out of several texts, each with its own offsets, has no text.

    Args:
        explanation: What an interpreter returned, by tokens.
        instance: The complete instance.
        json: The input that it was made of; None where it was made of none.
    """
    behind = spans_behind(instance, json)
    inputs = [
        _with_text(one, *behind[one.field]) if one.field in behind else one
        for one in explanation.inputs
    ]
    return replace(explanation, inputs=inputs)


def _with_text(one: InputAttribution, text: str, found: Sequence[Span | None]) -> InputAttribution:
    offsets = list(one.offsets if any(one.offsets) else found)
    if len(offsets) != len(one.tokens) or not _in_order(offsets) or not fits(offsets, text):
        return one
    return replace(one, text=text, offsets=offsets)


def _in_order(offsets: Sequence[Span | None]) -> bool:
    starts = [span[0] for span in offsets if span is not None]
    return all(first <= second for first, second in pairwise(starts))
