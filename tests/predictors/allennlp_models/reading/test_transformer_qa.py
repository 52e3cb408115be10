"""Transformer question answering: windows, and questions without an answer."""

from __future__ import annotations

import math
from typing import Any

import pytest

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients
from allennlp_saliency.interpret.interpreter.to_words import to_words
from tests.zoo.allennlp_models import ARCHIVES, Archives
from tests.zoo.allennlp_models.transformer_qa import windows

INPUTS = ARCHIVES["transformer-qa"].inputs


def best(predictor: Any, inputs: dict[str, str]) -> tuple[int, Any, dict[str, Any]]:
    """The number of the window that the predictor answers from, the window, and its outputs."""
    found = windows(predictor, inputs)
    scores = [float(outputs["best_span_scores"]) for _, outputs in found]
    number = scores.index(max(scores))
    return number, *found[number]


def test_the_window_with_the_answer_is_explained(archives: Archives) -> None:
    predictor = archives.predictor("transformer-qa")
    later = 0
    for inputs in INPUTS:
        number, window, outputs = best(predictor, dict(inputs))
        later += number > 0
        prediction = predictor.predict_json(dict(inputs))
        assert prediction["best_span_scores"] == pytest.approx(float(outputs["best_span_scores"]))
        (found,) = InputXGradient(predictor, target="span").interpret_json(dict(inputs))
        tokens = [token.text for token in window["question_with_context"].tokens]
        assert found.inputs[0].tokens == tokens
        assert found.target["value"] == pytest.approx(prediction["best_span_scores"], rel=1e-5)
        assert found.target["label"] == prediction["best_span_str"]
    # Otherwise nothing has been shown.
    assert later


def test_the_answer_has_its_tokens(archives: Archives) -> None:
    predictor = archives.predictor("transformer-qa")
    _, window, outputs = best(predictor, dict(INPUTS[0]))
    (found,) = InputXGradient(predictor).interpret_json(dict(INPUTS[0]))
    start = window["context_span"].span_start
    first, last = outputs["best_span"]
    assert found.target["positions"] == list(range(start + first, start + last + 1))


def test_no_answer_is_explained_at_the_classification_token(archives: Archives) -> None:
    predictor = archives.predictor("transformer-qa")
    inputs = dict(INPUTS[1])
    assert predictor.predict_json(inputs)["best_span"] == [-1, -1]
    (found,) = IntegratedGradients(predictor).interpret_json(inputs)
    assert found.target["label"] == ""
    assert found.target["no_answer"] is True
    assert found.target["positions"] == [0]
    assert found.inputs[0].tokens[0] == "[CLS]"
    assert any(found.inputs[0].attributions)


def test_no_answer_may_end_elsewhere(archives: Archives) -> None:
    """The model takes a span that begins at the classification token for none, wherever it ends."""
    predictor: Any = archives.predictor("transformer-qa")
    inputs = {"question": "", "context": "mary saw"}
    prediction = predictor.predict_json(inputs)
    assert prediction["best_span"] == [-1, -1]
    assert max(prediction["span_end_logits"]) > prediction["span_end_logits"][0]
    (found,) = InputXGradient(predictor).interpret_json(inputs)
    assert found.target["value"] == pytest.approx(math.log(prediction["best_span_probs"]), rel=1e-5)
    assert found.target["positions"] == [0]


def test_questions_are_counted_as_the_predictor_does(archives: Archives) -> None:
    predictor: Any = archives.predictor("transformer-qa")
    inputs = [dict(one) for one in INPUTS]
    found = InputXGradient(predictor).interpret_each(inputs, predict=True)
    assert predictor._next_qid == 1
    ids = [one["id"] for one in predictor.predict_batch_json(inputs)]
    assert [one.prediction["id"] for one in found if one.prediction] == ids


def test_windows_of_a_reader_are_explained_by_themselves(archives: Archives) -> None:
    predictor: Any = archives.predictor("transformer-qa")
    instances = predictor._json_to_instances(dict(INPUTS[3]), qid=1)
    found = InputXGradient(predictor).interpret_each_instance(instances)
    assert len(found) > 1
    for one, instance in zip(found, instances, strict=True):
        (explanation,) = one.explanations
        outputs = predictor._model.forward_on_instance(instance)
        assert explanation.target["label"] == outputs["best_span_str"]


def test_a_token_stands_where_its_offsets_say(archives: Archives) -> None:
    """AllenNLP's reader moves the beginning of a token to its place in the context, not its end."""
    predictor = archives.predictor("transformer-qa")
    inputs = {"question": "who", "context": "mary sawed badly in london"}
    (found,) = InputXGradient(predictor).interpret_json(inputs)
    (field,) = found.inputs
    texts = (inputs["question"], inputs["context"])
    for token, span in zip(field.tokens, field.offsets, strict=True):
        if span is not None:
            assert token.removeprefix("##") in [text[slice(*span)] for text in texts]
    (words,) = to_words(found).inputs
    assert [word for word in words.tokens if word[0] != "["] == " ".join(texts).split()
