"""Scores of words from every kind of tokenizer."""

from __future__ import annotations

from typing import Any

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.interpret.inputs.texts import word_spans
from tests.zoo.task_models import predictor

TEXT = "the badly unbelievable 語 actor, привет 😀 שלום"
NAMES = ["bert", "roberta", "albert", "gpt2", "llama", "t5"]


def explain(name: str, task: str, given: dict[str, Any], granularity: str) -> Any:
    params = Params({"type": "input-x-gradient", "granularity": granularity})
    interpreter = SaliencyInterpreter.from_params(params, predictor=predictor(name, task))
    assert isinstance(interpreter, SaliencyInterpreter)
    return interpreter.interpret_json(given)


@pytest.mark.parametrize("name", NAMES)
def test_words(name: str) -> None:
    given = {"sentence": TEXT}
    (words,) = explain(name, "text-classification", given, "word")
    (tokens,) = explain(name, "text-classification", given, "token")
    one, other = words.inputs[0], tokens.inputs[0]
    assert one.text == other.text == TEXT
    expected = [TEXT[slice(*span)] for span in word_spans(TEXT)]
    assert [t for t, span in zip(one.tokens, one.offsets, strict=True) if span] == expected
    assert len(other.tokens) > len(one.tokens)
    assert sum(one.attributions) == pytest.approx(sum(other.attributions), abs=1e-9)
    for start, end in word_spans(TEXT):
        at = one.offsets.index((start, end))
        inside = [
            score
            for score, span in zip(other.attributions, other.offsets, strict=True)
            if span is not None and start <= span[0] and (span[1] <= end) and span[0] < end
        ]
        if not any(span in ((start - 1, start), (start, start)) for span in other.offsets if span):
            assert one.attributions[at] == pytest.approx(sum(inside), abs=1e-9)
    assert words.interpreter["granularity"] == "word"
    assert "granularity" not in tokens.interpreter


def test_a_generated_word() -> None:
    given = {"prompt": "mary lives", "continuation": " unbelievably"}
    explanations = explain("gpt2", "causal-lm", given, "word")
    assert explanations[-1].inputs[0].tokens == ["unbelievably"]
    assert explanations[-1].inputs[1].tokens == ["mary", "lives"]
    assert {one.text for own in explanations for one in own.inputs} == {
        " unbelievably",
        "mary lives",
    }


def test_choices() -> None:
    given = {"prompt": "mary lives", "choices": ["in paris", "unbelievable!"]}
    (explanation,) = explain("bert", "multiple-choice", given, "word")
    assert [one.tokens for one in explanation.inputs] == [
        ["[CLS]", "mary", "lives", "[SEP]"],
        ["in", "paris", "[SEP]"],
        ["unbelievable", "!", "[SEP]"],
    ]


def test_an_answer_is_where_it_was() -> None:
    given = {"question": "where does mary live?", "passage": "mary lives in paris, john in london"}
    (words,) = explain("albert", "question-answering", given, "word")
    passage = words.inputs[0]
    spans = [passage.offsets[place] for place in words.target["positions"]]
    start, end = spans[0][0], spans[-1][1]
    assert words.target["label"] in given["passage"][start:end]


def test_neither() -> None:
    with pytest.raises(ConfigurationError, match="granularity"):
        explain("bert", "text-classification", {"sentence": "a"}, "letter")
