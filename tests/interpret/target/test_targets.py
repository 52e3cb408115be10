"""Targets against the model's outputs for each input alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import (
    Explanation,
    InputXGradient,
    InterpretationError,
    Target,
)
from tests.zoo import LABELS, TAGS, Zoo

GIVEN = {"sentence": "the plot was not bad"}


def explain(zoo: Zoo, family: str, target: Any, given: dict[str, str] = GIVEN) -> Explanation:
    (explanation,) = InputXGradient(zoo.predictor(family), target=target).interpret_json(given)
    return explanation


def outputs(zoo: Zoo, family: str = "lstm") -> tuple[np.ndarray, np.ndarray, int]:
    predicted = zoo.predictor(family).predict_json(GIVEN)
    logits, probabilities = np.array(predicted["logits"]), np.array(predicted["probs"])
    return logits, probabilities, int(probabilities.argmax())


class TestValues:
    @pytest.mark.parametrize("family", ["lstm", "bert", "pair"])
    def test_of_the_prediction(self, zoo: Zoo, family: str) -> None:
        given = zoo.inputs(family)[2]
        predicted = zoo.predictor(family).predict_json(given)
        logits, probabilities = predicted["logits"], predicted["probs"]
        best = int(np.argmax(probabilities))
        other = (best + 1) % 3
        for target, value in (
            ("log-likelihood", math.log(probabilities[best])),
            ("logit", logits[best]),
            ("probability", probabilities[best]),
            ({"type": "contrast", "against": LABELS[other]}, logits[best] - logits[other]),
        ):
            explanation = explain(zoo, family, target, given)
            assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
            assert explanation.target["label"] == LABELS[best]
            name = target if isinstance(target, str) else target["type"]
            assert explanation.target["type"] == name

    @pytest.mark.parametrize("label", LABELS)
    def test_of_a_named_label(self, zoo: Zoo, label: str) -> None:
        logits, probabilities, _ = outputs(zoo)
        index = LABELS.index(label)
        for name, value in (
            ("log-likelihood", math.log(probabilities[index])),
            ("logit", logits[index]),
            ("probability", probabilities[index]),
        ):
            explanation = explain(zoo, "lstm", {"type": name, "label": label})
            assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
            assert explanation.target["label"] == label

    def test_contrast_of_two_named_labels(self, zoo: Zoo) -> None:
        logits, _, _ = outputs(zoo)
        target = {"type": "contrast", "label": "neutral", "against": "positive"}
        explanation = explain(zoo, "lstm", target)
        assert explanation.target["value"] == pytest.approx(logits[2] - logits[1], abs=1e-5)
        assert explanation.target["against"] == "positive"

    def test_contrast_is_a_difference_of_log_likelihoods(self, zoo: Zoo) -> None:
        contrast = explain(
            zoo, "lstm", {"type": "contrast", "label": "neutral", "against": "positive"}
        )
        parts = [
            explain(zoo, "lstm", {"type": "log-likelihood", "label": label})
            for label in ("neutral", "positive")
        ]
        left, right = (np.array(part.inputs[0].attributions) for part in parts)
        assert contrast.inputs[0].attributions == pytest.approx(left - right, abs=1e-6)

    def test_scores_of_all_labels_probabilities_add_up_to_nothing(self, zoo: Zoo) -> None:
        total = sum(
            np.array(
                explain(zoo, "lstm", {"type": "probability", "label": label}).inputs[0].attributions
            )
            for label in LABELS
        )
        assert total == pytest.approx(np.zeros(5), abs=1e-6)

    def test_tags_are_averaged_over_an_entity(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("lstm-tagger")
        given = {"sentence": "filmgoers lives in paris"}
        predicted = predictor.predict_json(given)
        probabilities = np.array(predicted["class_probabilities"])
        logits = np.array(predicted["logits"])
        for name, scores in (
            ("probability", probabilities),
            ("logit", logits),
            ("log-likelihood", np.log(probabilities)),
        ):
            explanations = InputXGradient(predictor, target=name).interpret_json(given)
            assert len(explanations) > 1
            for explanation in explanations:
                positions = explanation.target["positions"]
                values = [scores[p, TAGS.index(predicted["tags"][p])] for p in positions]
                assert explanation.target["value"] == pytest.approx(np.mean(values), abs=1e-5)

    def test_a_named_tag_at_the_entity(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("lstm-tagger")
        given = {"sentence": "filmgoers lives in paris"}
        probabilities = np.array(predictor.predict_json(given)["class_probabilities"])
        target = {"type": "probability", "label": "U-PER"}
        for explanation in InputXGradient(predictor, target=target).interpret_json(given):
            positions = explanation.target["positions"]
            expected = probabilities[positions, TAGS.index("U-PER")].mean()
            assert explanation.target["value"] == pytest.approx(expected, abs=1e-5)
            assert set(explanation.target["label"].split()) == {"U-PER"}


class TestUnknownLabels:
    @pytest.mark.parametrize(
        "target",
        [
            {"type": "log-likelihood", "label": "positiv"},
            {"type": "logit", "label": "Positive"},
            {"type": "probability", "label": "positive "},
            {"type": "contrast", "against": "postive"},
        ],
    )
    def test_close_ones_are_listed(self, zoo: Zoo, target: dict[str, str]) -> None:
        with pytest.raises(InterpretationError, match=r"no label .*'labels'.*mean 'positive'"):
            explain(zoo, "lstm", target)

    def test_all_are_listed_where_none_is_close(self, zoo: Zoo) -> None:
        with pytest.raises(InterpretationError, match="'negative', 'neutral', 'positive'"):
            explain(zoo, "lstm", {"type": "logit", "label": "zebra"})

    def test_every_input_says_so(self, zoo: Zoo) -> None:
        interpreter = InputXGradient(
            zoo.predictor("lstm"), target={"type": "logit", "label": "zebra"}
        )
        results = interpreter.interpret_each([GIVEN, GIVEN], predict=True)
        assert all(isinstance(one.error, InterpretationError) for one in results)
        assert all(one.prediction is not None for one in results)


class TestTargetsOfOnesOwn:
    def test_in_five_lines(self, zoo: Zoo) -> None:
        @Target.register("test-runner-up-margin", exist_ok=True)
        class RunnerUpMargin(Target):
            def __call__(self, outputs: Any) -> Tensor:
                best = outputs.logits.topk(2).values
                return best[:, 0] - best[:, 1]

        logits = np.sort(outputs(zoo)[0])
        explanation = explain(zoo, "lstm", "test-runner-up-margin")
        assert explanation.target["type"] == "test-runner-up-margin"
        assert explanation.target["value"] == pytest.approx(logits[-1] - logits[-2], abs=1e-5)
        assert any(explanation.inputs[0].attributions)

    def test_of_the_models_own_outputs(self, zoo: Zoo) -> None:
        class Squares(Target):
            def __call__(self, outputs: Any) -> Tensor:
                assert "logits" in outputs
                assert set(outputs) >= {"logits", "probs", "loss"}
                return (outputs["logits"] ** 2).sum(-1)

        explanation = explain(zoo, "lstm", Squares())
        assert explanation.target["value"] == pytest.approx((outputs(zoo)[0] ** 2).sum(), abs=1e-5)

    def test_an_output_that_is_not_there(self, zoo: Zoo) -> None:
        class Span(Target):
            def __call__(self, outputs: Any) -> Tensor:
                return outputs["best_span_scores"]

        with pytest.raises(InterpretationError, match=r"BasicClassifier returns no 'best_span_sc"):
            explain(zoo, "lstm", Span())

    @pytest.mark.parametrize(
        ("function", "told"),
        [
            (lambda outputs: outputs.logits, "returned shape .* one number per row"),
            (lambda outputs: outputs.logits.sum(), r"returned shape \(\)"),
            (lambda outputs: outputs.logits.detach()[:, 0], "gives no gradient"),
            (lambda outputs: outputs.logits[:, 0] * float("nan"), "not finite"),
            (lambda outputs: outputs.logits[:, 0].abs() * 1e38 * 1e38, "not finite"),
            (lambda outputs: outputs.at(outputs.logits.squeeze(0)[None, None, None]), "fit"),
        ],
    )
    def test_what_is_no_target(self, zoo: Zoo, function: Any, told: str) -> None:
        class Broken(Target):
            def __call__(self, outputs: Any) -> Tensor:
                return function(outputs)

        with pytest.raises(InterpretationError, match=told):
            explain(zoo, "lstm", Broken())

    def test_its_own_errors_pass(self, zoo: Zoo) -> None:
        class Failing(Target):
            def __call__(self, outputs: Any) -> Tensor:
                raise LookupError("here")

        with pytest.raises(LookupError, match="here"):
            explain(zoo, "lstm", Failing())

    def test_a_target_that_ignores_the_input(self, zoo: Zoo) -> None:
        class Constant(Target):
            def __call__(self, outputs: Any) -> Tensor:
                return outputs.logits.sum(-1) * 0

        explanation = explain(zoo, "lstm", Constant())
        assert not any(explanation.inputs[0].attributions)
        assert any("all attributions of field 'tokens' are zero" in w for w in explanation.warnings)
        assert torch.is_grad_enabled()


class TestWithoutLogits:
    """A model that returns its loss and nothing else of use."""

    def predictor(self, zoo: Zoo) -> Any:
        predictor = zoo.build("lstm")
        model: Any = predictor._model
        forward = type(model).forward

        class Silent(type(model)):  # type: ignore[misc]
            def forward(self, tokens: Any, label: Any = None, metadata: Any = None) -> Any:
                outputs = forward(self, tokens, label, metadata)
                outputs.pop("logits")
                return outputs

        model.__class__ = Silent
        return predictor

    def test_log_likelihood_and_probability_work(self, zoo: Zoo) -> None:
        predictor = self.predictor(zoo)
        for target in ("log-likelihood", "probability"):
            (found,) = InputXGradient(predictor, target=target).interpret_json(GIVEN)
            expected = explain(zoo, "lstm", target)
            assert found.inputs[0].attributions == pytest.approx(
                expected.inputs[0].attributions, abs=1e-6
            )

    def test_logit_says_what_to_do(self, zoo: Zoo) -> None:
        interpreter = InputXGradient(self.predictor(zoo), target="logit")
        with pytest.raises(InterpretationError, match=r"returns no logits.*'log-likelihood'"):
            interpreter.interpret_json(GIVEN)
