"""What readers of scores are warned of where the scores do not add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    DeepLift,
    DiscretizedIntegratedGradients,
    IntegratedGradients,
    InterpretationError,
    LayerwiseRelevancePropagation,
    SequentialIntegratedGradients,
)
from allennlp_saliency.interpret.interpreter import explanation_warnings as conditions
from tests.interpret.interpreter.warned import YES, explain, of_sum

SINGLE = torch.finfo(torch.float32).eps
HALF = [torch.finfo(dtype).eps for dtype in (torch.bfloat16, torch.float16)]


class TestSixteenBits:
    @pytest.mark.parametrize("rounding", HALF)
    @pytest.mark.parametrize(("delta", "warned"), [(0.009, False), (0.011, True), (-0.011, True)])
    def test_from_one_percent_on(self, rounding: float, delta: float, warned: bool) -> None:
        found = conditions.incomplete(delta, 1.0, "value", "take more steps", rounding)
        assert (found is not None) is warned
        if found is not None:
            # That is of a method that lacks more than 5 %.
            assert "take more steps" not in found
            assert "single precision (model.float(), or the dtype 'float32')" in found

    @pytest.mark.parametrize("rounding", HALF)
    def test_from_five_percent_on_both_may_help(self, rounding: float) -> None:
        found = conditions.incomplete(0.2, 1.0, "difference", "take more steps", rounding)
        assert found is not None
        assert "take more steps; the model computes in sixteen bits" in found
        advice = conditions.IN_SINGLE_PRECISION
        found = conditions.incomplete(0.2, 1.0, "difference", advice, rounding)
        assert found is not None
        assert found.count(advice) == 1

    def test_what_is_not_finite(self) -> None:
        assert "run the model in single precision" in conditions.overflow(HALF[0])
        assert "single precision" not in conditions.overflow(SINGLE)

    @pytest.mark.parametrize("name", ["sentiment", "topics"])
    @pytest.mark.parametrize("method", [DeepLift, IntegratedGradients])
    def test_nothing_beyond_the_tolerance_goes_without_saying(
        self, name: str, method: type[DeepLift]
    ) -> None:
        predictor = Predictor.from_path(f"fixtures/{name}/model.tar.gz")
        predictor._model.to(torch.bfloat16)
        lines = Path(f"fixtures/{name}/inputs.jsonl").read_text(encoding="utf-8").splitlines()
        inputs = [json.loads(line) for line in lines[:6]]
        shares = []
        for one in method(predictor).interpret_each(inputs):
            assert one.error is None
            (found,) = one.explanations
            due = found.target["value"] - found.target["baseline_value"]
            assert found.convergence_delta is not None
            shares.append(abs(found.convergence_delta / due))
            said = [text for text in found.warnings if text.startswith("the attributions lack")]
            assert bool(said) == (shares[-1] > 0.01)
        assert max(shares) > 1e-3, "these are no sixteen bits"


class TestIncomplete:
    @pytest.mark.parametrize(
        ("delta", "due", "warned"),
        [
            (0.049, 1.0, False),
            (0.051, 1.0, True),
            (-0.049, 1.0, False),
            (-0.051, 1.0, True),
            (0.049, -1.0, False),
            (0.051, -1.0, True),
            (4.9, 100.0, False),
            (5.1, 100.0, True),
            # Less than 1e-4 is rounding, whatever share of the difference it is.
            (9e-5, 1e-4, False),
            (1.1e-4, 1e-4, True),
        ],
    )
    def test_from_five_percent_on(self, delta: float, due: float, warned: bool) -> None:
        assert (conditions.incomplete(delta, due, "value", "", SINGLE) is not None) is warned

    @pytest.mark.parametrize(("share", "warned"), [(0.04, False), (0.06, True)])
    def test_a_method_warns_from_five_percent_on(self, share: float, warned: bool) -> None:
        """One step in the middle of v + a v³ on [0, 5] lacks a v³ / 4 of the whole."""
        a = 4 * share / (25 * (1 - 4 * share))
        interpreter = IntegratedGradients(
            of_sum(lambda v: v + a * v**3), steps=1, rule="midpoint", target=YES
        )
        explanation = explain(interpreter)
        due = explanation.target["value"] - explanation.target["baseline_value"]
        assert explanation.convergence_delta == pytest.approx(share * due, rel=1e-4)
        assert bool(explanation.warnings) is warned

    def test_advice_for_fixed_steps(self) -> None:
        (warning,) = explain(
            IntegratedGradients(of_sum(lambda v: torch.tanh(2 * v)), steps=2, target=YES)
        ).warnings
        assert "take more steps (now 2), or name a relative_tolerance" in warning

    def test_advice_for_refined_ones(self) -> None:
        interpreter = IntegratedGradients(
            of_sum(lambda v: torch.sigmoid((v - 2.3) * 30)), max_steps=12, target=YES
        )
        explanation = explain(interpreter)
        assert explanation.details["converged"] is False
        # Advice once, although the attributions also lack much.
        warning, lacking = explanation.warnings
        assert "raise max_steps (now 12)" in warning
        assert lacking.endswith("that they should add up to")
        # Which helps.
        more = IntegratedGradients(interpreter.predictor, max_steps=1024, target=YES)
        assert explain(more).warnings == []

    def test_advice_for_a_loose_tolerance(self) -> None:
        interpreter = IntegratedGradients(
            of_sum(torch.tanh), relative_tolerance=10.0, steps=2, target=YES
        )
        (warning,) = explain(interpreter).warnings
        assert warning.endswith("name a smaller tolerance")

    def test_advice_for_discretized_paths_helps(self) -> None:
        predictor = of_sum(lambda v: torch.tanh(v / 2))
        (warning,) = explain(
            DiscretizedIntegratedGradients(predictor, steps=3, target=YES)
        ).warnings
        assert "raise factor (now 1)" in warning
        assert "steps" not in warning
        finer = DiscretizedIntegratedGradients(predictor, steps=3, factor=64, target=YES)
        assert explain(finer).warnings == []

    @pytest.mark.parametrize(
        ("method", "named"), [(DeepLift, "DeepLIFT"), (LayerwiseRelevancePropagation, "LRP")]
    )
    def test_operations_without_a_rule_are_named(self, method: Any, named: str) -> None:
        """The scores are 5 f'(5); what they lack was lost by DeepLIFT and absorbed by LRP."""
        at = torch.tensor([5.0, 0.0], dtype=torch.float64, requires_grad=True)
        ends = torch.special.erfcx(at)
        (slopes,) = torch.autograd.grad(ends.sum(), at)
        start = float(ends[1].detach()) if method is DeepLift else 0.0
        lacking = float(ends[0].detach()) - start - 5 * float(slopes[0])
        explanation = explain(method(of_sum(torch.special.erfcx), target=YES))
        (warning,) = explanation.warnings
        assert f"{named} has no rule for 'special_erfcx' ({lacking:.3g})" in warning
        assert warning.endswith("use 'integrated-gradients'")
        assert explanation.details["without_rule"] == ["special_erfcx"]

    @pytest.mark.parametrize("method", [DeepLift, LayerwiseRelevancePropagation])
    def test_operations_without_a_derivative(self, method: Any) -> None:
        with pytest.raises(InterpretationError, match="gives no gradient"):
            explain(method(of_sum(torch.special.bessel_j0), target=YES))

    def test_operations_that_lost_although_they_have_a_rule(self) -> None:
        named = conditions.lost_by({"matmul": 0.5, "add": -0.25}, {"erfcx"})
        assert named == "most was lost by 'matmul' (0.5), 'add' (-0.25); use 'integrated-gradients'"
        assert "name another baseline" in conditions.lost_by({}, {"erfcx"})

    def test_a_token_of_a_sequential_path(self) -> None:
        predictor = of_sum(lambda v: torch.sigmoid((v - 4.5) * 40))
        interpreter = SequentialIntegratedGradients(predictor, steps=2, target=YES)
        explanation = explain(interpreter)
        assert explanation.details["largest_token_delta"] > 0.5
        (warning,) = explanation.warnings
        assert "take more steps (now 2), or leave steps and rule out" in warning
        for better in ({"steps": 400}, {}):
            assert (
                explain(SequentialIntegratedGradients(predictor, target=YES, **better)).warnings
                == []
            )

    def test_of_a_method_without_a_remedy(self) -> None:
        assert conditions.incomplete(0.2, 1.0, "difference", "", SINGLE) == (
            "the attributions lack 0.2 of the difference 1 that they should add up to"
        )
        assert conditions.incomplete(0.04, 1.0, "difference", "", SINGLE) is None
