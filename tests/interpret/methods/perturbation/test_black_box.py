"""Programs that are known by their answers alone are explained by their answers alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    InputXGradient,
    InterpretationError,
    KernelShap,
    LeaveOneOut,
    NotApplicableError,
    PairInteractions,
    SaliencyInterpreter,
    SettingError,
    explain_function,
)
from allennlp_saliency.interpret.methods.perturbation.perturbation_method import PerturbationMethod
from tests.zoo import Zoo

ROOT = Path(__file__).resolve().parents[4]
WEIGHTS = {"good": 2.0, "bad": -3.0, "very": 0.5}
METHODS = sorted(
    name
    for name in SaliencyInterpreter.list_available()
    if issubclass(SaliencyInterpreter.by_name(name), PerturbationMethod)
)
SETTINGS = {"reagent": {"steps": 64}, "context-cite": {"penalty": 1e-4}}
# Shares of importance, not differences of the target.
UNSIGNED = ("reagent", "sobol")


def total(texts: list[str]) -> list[float]:
    return [sum(WEIGHTS.get(word, 0.0) for word in text.split()) for text in texts]


class Program(Predictor):
    """A predictor of no model."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def predict_batch_json(self, inputs: list[Any]) -> list[Any]:
        self.asked.append(len(inputs))
        found = []
        for one in inputs:
            score = total([f"{one['title']} {one['body']}"])[0]
            p = 1 / (1 + np.exp(-score))
            label = "positive" if p > 0.5 else "negative"
            found.append({"probs": [1 - p, p], "label": label, "score": score, "words": ["a"]})
        return found


GIVEN = {"title": "good", "body": "a very bad film", "id": "good bad"}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_a_function(method: str) -> None:
    found = explain_function(total, "a very good film, bad", method, **SETTINGS.get(method, {}))
    (own,) = found.inputs
    assert own.tokens == ["a", "very", "good", "film", ",", "bad"]
    assert own.offsets == [(0, 1), (2, 6), (7, 11), (12, 16), (16, 17), (18, 21)]
    assert own.text == "a very good film, bad"
    assert found.target["value"] == pytest.approx(-0.5)
    expected = [WEIGHTS.get(word, 0.0) for word in own.tokens]
    if method in UNSIGNED:
        return
    if method == "minimal-sufficient-set":
        assert own.attributions == pytest.approx([0, 0, 0, 0, 0, -3.0])
        return
    loose = {"lime": 0.35, "context-cite": 0.05}.get(method, 1e-6)
    assert own.attributions == pytest.approx(expected, abs=loose)


def test_sentences_and_paragraphs() -> None:
    text = "A good film. It was bad.\n\nNot very."
    sentences = explain_function(total, text, "leave-one-out", units="sentence")
    assert sentences.inputs[0].tokens == ["A good film.", "It was bad.", "Not very."]
    paragraphs = explain_function(total, text, "leave-one-out", units="paragraph")
    assert paragraphs.inputs[0].attributions == pytest.approx([2.0, 0.0])


def test_a_function_of_several_classes() -> None:
    def both(texts: list[str]) -> Any:
        scores = np.asarray(total(texts))
        return np.stack([-scores, scores], axis=1)

    best = explain_function(both, "very good", "leave-one-out")
    assert best.target["index"] == 1
    assert best.inputs[0].attributions == pytest.approx([0.5, 2.0])
    other = explain_function(both, "very good", "leave-one-out", index=0)
    assert other.inputs[0].attributions == pytest.approx([-0.5, -2.0])


def test_the_probability_of_the_predicted_label_is_explained_by_default() -> None:
    (found,) = LeaveOneOut(Program(), target="output").interpret_json(GIVEN)
    outputs = Program().predict_batch_json([GIVEN])[0]
    assert found.target["label"] == "negative"
    assert found.target["value"] == outputs["probs"][0]
    # What the program does not read has no words.
    assert [one.field for one in found.inputs] == ["title", "body"]
    (without_bad,) = Program().predict_batch_json([{**GIVEN, "body": "a very film"}])
    expected = outputs["probs"][0] - without_bad["probs"][0]
    assert found.inputs[1].attributions[2] == pytest.approx(expected)


def test_a_number_by_its_key() -> None:
    target = {"type": "output", "key": "score"}
    (found,) = KernelShap(Program(), target=target).interpret_json(GIVEN)
    assert found.inputs[0].attributions == pytest.approx([2.0])
    assert found.inputs[1].attributions == pytest.approx([0.0, 0.5, -3.0, 0.0])
    assert found.target["baseline_value"] == pytest.approx(0.0)
    assert found.convergence_delta == pytest.approx(0.0)
    assert found.interpreter["type"] == "kernel-shap"


def test_interactions_have_the_places_of_words() -> None:
    def both(texts: list[str]) -> list[float]:
        return [float("very" in text and "good" in text) for text in texts]

    found = explain_function(both, "a very good film", "pair-interactions")
    (one,) = [one for one in found.interactions if one.value]
    assert (one.first, one.second, one.value) == (("text", 1), ("text", 2), 1.0)
    assert isinstance(found.interactions, list)
    assert PairInteractions is SaliencyInterpreter.by_name("pair-interactions")


def test_a_real_predictor_as_a_black_box_is_what_deletion_gives() -> None:
    predictor = Predictor.from_path(ROOT / "fixtures" / "entailment" / "model.tar.gz")
    given = {
        "premise": "the cheerful animal nibbles outside the lawn at noon.",
        "hypothesis": "the animal feasts outside the lawn.",
    }
    target = {"type": "output", "key": "probs"}
    (box,) = LeaveOneOut(predictor, target=target).interpret_json(given)
    (inside,) = LeaveOneOut(
        predictor, target="probability", removal="delete", granularity="word"
    ).interpret_json(given)
    by_field = {one.field: one for one in inside.inputs}
    assert box.target["value"] == pytest.approx(inside.target["value"], abs=1e-5)
    for one in box.inputs:
        assert one.tokens == by_field[one.field].tokens
        assert one.attributions == pytest.approx(by_field[one.field].attributions, abs=1e-5)


def test_inputs_share_calls_and_fail_alone() -> None:
    program = Program()
    method = LeaveOneOut(program, target={"type": "output", "key": "score"})
    found = method.interpret_each([GIVEN, GIVEN], predict=True)
    assert program.asked == [2, 12]
    assert found[0].prediction is not None
    assert found[0].prediction["label"] == "negative"
    found = method.interpret_each([GIVEN, {"title": "good"}, GIVEN])
    assert [one.error is None for one in found] == [True, False, True]


def test_the_same_json_again() -> None:
    copy = dict(GIVEN)
    LeaveOneOut(Program(), target="output").interpret_json(GIVEN)
    assert copy == GIVEN


def test_numbers_that_there_are_not() -> None:
    with pytest.raises(SettingError, match=r"no number 'none'.*'probs' \(2 numbers\), 'score'"):
        LeaveOneOut(Program(), target={"type": "output", "key": "none"}).interpret_json(GIVEN)
    target = {"type": "output", "key": "probs", "index": 7}
    with pytest.raises(SettingError, match="at index 7"):
        LeaveOneOut(Program(), target=target).interpret_json(GIVEN)

    class Numbers(Program):
        def predict_batch_json(self, inputs: list[Any]) -> list[Any]:
            return [{"score": 1.0} for _ in inputs]

    with pytest.raises(SettingError, match=r"no probabilities, only 'score' \(a number\)"):
        LeaveOneOut(Numbers(), target="output").interpret_json(GIVEN)


def test_what_a_black_box_does_not_allow() -> None:
    with pytest.raises(ConfigurationError, match="its removal is 'delete'"):
        LeaveOneOut(Program(), target="output", removal="mask")
    with pytest.raises(
        ConfigurationError, match="no method for a function; there are context-cite, "
    ):
        explain_function(total, "good", "input-x-gradient")
    with pytest.raises(InterpretationError, match=r"shape \(1,\) for 3 texts"):
        explain_function(lambda texts: [1.0], "good film", "leave-one-out")
    predictor = Predictor.from_path(ROOT / "fixtures" / "topics" / "model.tar.gz")
    with pytest.raises(NotApplicableError, match="only perturbation methods"):
        InputXGradient(predictor, target="output").interpret_json({"sentence": "our bonds"})


def test_a_program_that_takes_no_empty_text() -> None:
    def fails(texts: list[str]) -> list[float]:
        return [1 / len(text.split()) for text in texts]

    with pytest.raises(InterpretationError, match=r"a text is empty.*'leave-one-out'"):
        explain_function(fails, "a good film", "kernel-shap")
    assert explain_function(fails, "a good film", "leave-one-out").inputs[0].attributions


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("settings", [{}, {"removal": "delete"}, {"removal": ["mask", "mean"]}])
def test_a_text_without_units_has_the_scores_of_added_tokens_alone(
    zoo: Zoo, method: str, settings: dict[str, Any]
) -> None:
    predictor = zoo.predictor("bert")
    both = [{"sentence": ""}, {"sentence": "a bad film"}]
    given = {**SETTINGS.get(method, {}), **settings}
    empty, other = SaliencyInterpreter.by_name(method)(predictor, **given).interpret_each(both)
    assert empty.error is None
    assert other.error is None
    (own,) = empty.explanations[0].inputs
    assert own.attributions == [0.0] * len(own.tokens)
    assert own.text == ""
    assert any(other.explanations[0].inputs[0].attributions)
