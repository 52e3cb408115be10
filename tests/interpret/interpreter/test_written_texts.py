"""Explanations carry the texts that their fields were made of."""

from __future__ import annotations

from typing import Any

import pytest
from allennlp.data import Instance, Token
from allennlp.data.fields import TextField

from allennlp_saliency.interpret import Explanation, InputAttribution
from allennlp_saliency.interpret.interpreter.written_texts import with_texts_behind


def joined(tokens: list[Token], json: Any, field: str = "tokens") -> InputAttribution:
    names = [token.text or "" for token in tokens]
    spans = [None if t.idx is None else (t.idx, t.idx_end or t.idx + len(t.text)) for t in tokens]
    one = InputAttribution(field, "grad_input_1", names, spans, [0.0] * len(names))
    explanation = Explanation({"type": "x"}, {"type": "y"}, [one])
    instance = Instance({field: TextField(tokens, {})})
    return with_texts_behind(explanation, instance, json).inputs[0]


def test_the_text_of_the_input() -> None:
    tokens = [Token("[CLS]"), Token("a", 0), Token("film", 3)]
    one = joined(tokens, {"sentence": "A  Film", "label": "good"})
    assert one.text == "A  Film"
    assert one.offsets == [None, (0, 1), (3, 7)]


def test_offsets_are_found_where_the_tokenizer_gives_none() -> None:
    one = joined([Token("a"), Token("[UNK]"), Token("film")], {"sentence": "a grand film"})
    assert one.text == "a grand film"
    assert one.offsets == [(0, 1), None, (8, 12)]


@pytest.mark.parametrize(
    "json",
    [None, {}, {"sentence": "something else altogether"}, {"sentence": ""}],
)
def test_a_text_that_is_not_known(json: Any) -> None:
    one = joined([Token("a", 0), Token("film", 2)], json)
    assert one.text is None
    assert one.offsets == [(0, 1), (2, 6)]


def test_two_texts_in_one_field_have_no_text() -> None:
    tokens = [Token("a", 0), Token("film", 2), Token("[SEP]"), Token("a", 0), Token("film", 2)]
    assert joined(tokens, {"premise": "a film", "hypothesis": "a film"}).text is None


def test_each_of_a_pair_has_its_own() -> None:
    json = {"hypothesis": "a film", "premise": "a film!"}
    assert joined([Token("a", 0), Token("film", 2)], json, "premise").text == "a film!"
