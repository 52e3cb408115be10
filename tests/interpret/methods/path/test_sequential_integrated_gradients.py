"""Sequential integrated gradients: what each token's path must add up to, evaluated by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import (
    Explanation,
    IntegratedGradients,
    SequentialIntegratedGradients,
)
from tests.zoo import Zoo
from tests.zoo.functions import Opened, predictor_of

Sequential = SequentialIntegratedGradients
TEXT = "the plot was badly unbelievable !"
YES: dict[str, Any] = {"type": "logit", "label": "yes"}


def explain(interpreter: Any, text: str = TEXT) -> Explanation:
    (explanation,) = interpreter.interpret_json({"sentence": text})
    return explanation


def scores(interpreter: Any, text: str = TEXT) -> list[float]:
    return explain(interpreter, text).inputs[0].attributions


@pytest.mark.parametrize("family", ["lstm", "bert-mismatched", "gpt2"])
@pytest.mark.parametrize("aggregation", ["sum", "mean"])
def test_the_exact_integral_is_that_of_many_steps(family: str, aggregation: str, zoo: Zoo) -> None:
    """Also where a token has several wordpieces."""
    predictor = zoo.predictor(family)
    exact = scores(Sequential(predictor, aggregation=aggregation))
    summed = scores(Sequential(predictor, aggregation=aggregation, steps=64))
    assert max(map(abs, summed)) > 1e-3
    assert exact == pytest.approx(summed, rel=1e-3, abs=1e-5)


class TestTwoTokens:
    VECTORS = (("up", (2.0, 1.0)), ("down", (0.5, 3.0)))

    @staticmethod
    def function(x: Tensor) -> Tensor:
        """F = u² v, with u = 2 x_1 - x_2 of the first token and v = x_1 + x_2 of the second."""
        u, v = 2 * x[:, 0, 0] - x[:, 0, 1], x[:, 1].sum(-1)
        return torch.stack([0 * u, u**2 * v], 1)

    def test_by_hand(self) -> None:
        # u = 3, v = 3.5 and F = 31.5; without either token nothing is left of it, so both get all.
        # Along the first's path F = (α u)² v, whose gradient grows: ∫ 2 α u² v dα = u² v.
        predictor = predictor_of(self.function, dict(self.VECTORS))
        explanation = explain(Sequential(predictor, target=YES, steps=4), "up down")
        assert explanation.target["value"] == pytest.approx(31.5)
        assert explanation.inputs[0].attributions == pytest.approx([31.5, 31.5], rel=1e-5)
        assert explanation.details["largest_token_delta"] == pytest.approx(0, abs=1e-4)
        assert explanation.convergence_delta is None
        # On one path for both the same function is shared 2 : 1.
        together = IntegratedGradients(predictor, target=YES, steps=4)
        assert scores(together, "up down") == pytest.approx([21, 10.5], rel=1e-5)

    def test_exact(self) -> None:
        predictor = predictor_of(self.function, dict(self.VECTORS))
        explanation = explain(Sequential(predictor, target=YES), "up down")
        assert explanation.inputs[0].attributions == pytest.approx([31.5, 31.5], rel=1e-6)
        assert "largest_token_delta" not in explanation.details
        baseline = {"type": "token", "token": "down"}
        found = scores(Sequential(predictor, target=YES, baseline=baseline), "up down")
        assert found == pytest.approx([(9 - 4) * 3.5, 0], rel=1e-6)

    def test_a_rule_without_steps(self) -> None:
        predictor = predictor_of(self.function, dict(self.VECTORS))
        assert Sequential(predictor, rule="midpoint").steps == 16

    def test_one_point(self) -> None:
        # The middle of the first path: 2 (u / 2) u v = u² v, right by luck; its ends: 0 and twice.
        predictor = predictor_of(self.function, dict(self.VECTORS))
        for rule, factor in (("midpoint", 1), ("left", 0), ("right", 2)):
            found = explain(Sequential(predictor, target=YES, steps=1, rule=rule), "up down")
            assert found.inputs[0].attributions == pytest.approx([factor * 31.5, 31.5], rel=1e-5)
            delta = abs(1 - factor) * 31.5
            assert found.details["largest_token_delta"] == pytest.approx(delta, abs=1e-4)

    def test_another_baseline(self) -> None:
        # From "down" in the place of "up": u = 3 instead of -2.
        predictor = predictor_of(self.function, dict(self.VECTORS))
        baseline = {"type": "token", "token": "down"}
        found = scores(Sequential(predictor, target=YES, baseline=baseline, steps=4), "up down")
        assert found == pytest.approx([(9 - 4) * 3.5, 0], rel=1e-5)

    def test_a_difference_whose_coordinates_cancel(self) -> None:
        # x - x' = (1, -1) adds up to nothing, and moves all the same.
        predictor = predictor_of(self.function, {"up": (2.0, 1.0), "down": (1.0, 2.0)})
        baseline = {"type": "token", "token": "down"}
        found = scores(Sequential(predictor, target=YES, baseline=baseline, steps=4), "up down")
        assert found == pytest.approx([27 - 0, 0], abs=1e-4)

    def test_details_of_several_baselines_are_the_worst(self) -> None:
        predictor = predictor_of(self.function, dict(self.VECTORS))
        baselines: list[Any] = ["zero", {"type": "token", "token": "down"}]

        def found(baseline: Any) -> Explanation:
            interpreter = Sequential(predictor, target=YES, steps=1, rule="left", baseline=baseline)
            return explain(interpreter, "up down")

        one, other, both = found(baselines[0]), found(baselines[1]), found(baselines)
        deltas = [explanation.details["largest_token_delta"] for explanation in (one, other)]
        assert deltas[0] < deltas[1]
        assert both.details["largest_token_delta"] == deltas[1]
        mean = np.mean([one.inputs[0].attributions, other.inputs[0].attributions], axis=0)
        assert both.inputs[0].attributions == pytest.approx(mean)


class TestEachTokenIsComplete:
    @pytest.mark.parametrize("family", ["lstm", "bert", "gpt2", "bert-mismatched"])
    def test_against_the_model_without_it(self, zoo: Zoo, family: str) -> None:
        """F(x) - F(x with the baseline at t), evaluated at both ends by hand; all wordpieces of a
        token go together."""
        predictor = zoo.predictor(family)
        opened = Opened.of(predictor, TEXT)
        points = [opened.x]
        for first, last in opened.spans:
            without = opened.x.clone()
            for position in range(first, last + 1):
                if not opened.special[position]:
                    without[position] = 0
            points.append(without)
        with torch.no_grad():
            whole, *others = opened.value(torch.stack(points)).tolist()
        expected = [whole - other for other in others]
        explanation = explain(Sequential(predictor, steps=24))
        assert explanation.inputs[0].attributions == pytest.approx(expected, abs=2e-3)
        assert np.abs(expected).max() > 0.02
        errors = np.abs(np.subtract(explanation.inputs[0].attributions, expected))
        assert errors.max() <= explanation.details["largest_token_delta"] + 1e-5

    def test_split_words_are_there(self, zoo: Zoo) -> None:
        spans = Opened.of(zoo.predictor("bert-mismatched"), TEXT).spans
        assert max(last - first for first, last in spans) > 1

    def test_special_tokens_are_kept_unless_asked(self, zoo: Zoo) -> None:
        kept = explain(Sequential(zoo.predictor("bert"), steps=8)).inputs[0]
        assert kept.tokens[0] == "[CLS]"
        assert kept.tokens[-1] == "[SEP]"
        assert kept.attributions[0] == kept.attributions[-1] == 0
        baseline = {"type": "zero", "keep_special_tokens": False}
        moved = explain(Sequential(zoo.predictor("bert"), steps=8, baseline=baseline)).inputs[0]
        assert abs(moved.attributions[0]) > 1e-3
        assert abs(moved.attributions[-1]) > 1e-3
        # Every token's path is its own: the others' scores are what they were.
        assert moved.attributions[1:-1] == pytest.approx(kept.attributions[1:-1], abs=1e-6)

    def test_special_tokens_of_no_token_are_unassigned(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert-mismatched")
        assert explain(Sequential(predictor, steps=4)).inputs[0].unassigned == 0
        baseline = {"type": "zero", "keep_special_tokens": False}
        moved = explain(Sequential(predictor, steps=4, baseline=baseline))
        assert abs(moved.inputs[0].unassigned) > 1e-4


@pytest.mark.parametrize("family", ["lstm", "bert-mismatched", "pair"])
def test_batch_equals_single(zoo: Zoo, family: str) -> None:
    inputs = zoo.inputs(family)[:3]
    for budget in (None, 300):
        interpreter = Sequential(zoo.predictor(family), steps=3, token_budget=budget)
        together = interpreter.interpret_batch_json(inputs)
        for given, (packed,) in zip(inputs, together, strict=True):
            (alone,) = interpreter.interpret_json(given)
            for left, right in zip(packed.inputs, alone.inputs, strict=True):
                assert left.attributions == pytest.approx(right.attributions, abs=1e-5)


def test_as_many_points_as_told(zoo: Zoo) -> None:
    """One path per token, all in few batches: no loop over tokens."""
    looks: list[int] = []

    def counting(outputs: Any) -> Tensor:
        looks.append(len(outputs.rows))
        return outputs.log_likelihood

    explanation = explain(Sequential(zoo.predictor("lstm"), steps=5, target=counting))
    tokens = len(explanation.inputs[0].tokens)
    # At the input, where a function is called twice more to see that it repeats itself, and with
    # two rows to see that it does not mix them; along each token's path, and at the end of each.
    assert sum(looks) == 5 + tokens * 5 + tokens
    assert len(looks) <= 7
