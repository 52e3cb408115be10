"""What readers of scores are warned of, each by a function whose fault is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import (
    AttentionRollout,
    Attribution,
    DeepLift,
    DiscretizedIntegratedGradients,
    EmbeddingSpace,
    Explanation,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    LayerwiseRelevancePropagation,
    SaliencyInterpreter,
    SequentialIntegratedGradients,
)
from allennlp_saliency.interpret.interpreter import explanation_warnings as conditions
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of

YES: dict[str, Any] = {"type": "logit", "label": "yes"}
VECTORS = {"a": (1.0, 2.0), "b": (3.0, -1.0)}  # a and b add up to 5
LOCAL = ["gradient", "gradient-norm", "input-x-gradient", "one-hot-gradient", "smooth-gradients"]
LOCAL += ["square-gradients", "var-gradients", "lrp", "layer-gradient-x-activation"]


def of_sum(function: Callable[[Tensor], Tensor], **model: Any) -> Any:
    """A predictor whose logits are 0 and a function of the sum of all coordinates, 5 for "a b"."""

    def logits(x: Tensor) -> Tensor:
        value = function(x.sum((1, 2)))
        return torch.stack([torch.zeros_like(value), value], 1)

    return predictor_of(logits, VECTORS, **model)


def explain(interpreter: Any) -> Explanation:
    (explanation,) = interpreter.interpret_json({"sentence": "a b"})
    return explanation


def step_at(place: float, height: float) -> Callable[[Tensor], Tensor]:
    return lambda v: torch.tanh(v) + height * (v > place).float()


class TestSaturation:
    @pytest.mark.parametrize("method", LOCAL)
    def test_of_methods_that_look_at_the_input(self, method: str) -> None:
        # p = σ(v + 3) is 0.99966 at v = 5.
        make: Any = SaliencyInterpreter.by_name(method)
        predictor = of_sum(lambda v: v + 3)
        (warning, *_) = explain(make(predictor, target="log-likelihood")).warnings
        assert "saturated" in warning
        assert "use the target 'logit'" in warning
        assert not any("saturated" in w for w in explain(make(predictor, target=YES)).warnings)

    @pytest.mark.parametrize(("offset", "warned"), [(1.85, False), (1.95, True)])
    def test_from_a_probability_of_999_in_1000(self, offset: float, warned: bool) -> None:
        # log(0.999 / 0.001) = 6.907 = 5 + 1.907
        for target in ("log-likelihood", "probability"):
            predictor = of_sum(lambda v: v + offset)
            warnings = explain(InputXGradient(predictor, target=target)).warnings
            assert [("saturated" in one) for one in warnings] == ([True] if warned else [])

    def test_of_a_difference(self) -> None:
        target = {"type": "probability-difference", "against": "no"}
        (warning,) = explain(InputXGradient(of_sum(lambda v: v + 5), target=target)).warnings
        assert "use the target 'logit-difference'" in warning

    def test_of_an_unlikely_label(self) -> None:
        """Its probability is flat, its log-likelihood is not."""
        predictor = of_sum(lambda v: v + 3)
        unlikely = {"label": "no"}
        probability, log_likelihood = (
            explain(InputXGradient(predictor, target={"type": name, **unlikely})).warnings
            for name in ("probability", "log-likelihood")
        )
        assert "saturated" in probability[0]
        assert log_likelihood == []

    def test_of_every_label(self) -> None:
        target = {"type": "all-labels", "of": "log-likelihood"}
        interpreter = InputXGradient(of_sum(lambda v: v + 3), target=target)
        found = interpreter.interpret_json({"sentence": "a b"})
        assert [[("saturated" in w) for w in one.warnings] for one in found] == [[], [True]]

    def test_not_of_methods_that_compare_with_a_baseline(self) -> None:
        predictor = of_sum(lambda v: v + 3)
        for method in (IntegratedGradients, DeepLift, SequentialIntegratedGradients):
            assert explain(method(predictor, target="log-likelihood")).warnings == []

    def test_without_logits_there_is_no_advice_that_nobody_can_follow(self, zoo: Zoo) -> None:
        class Outputs(dict[str, Any]):
            has_logits = has_span_logits = False

        from allennlp_saliency.interpret.target.targets import LogLikelihood

        assert LogLikelihood().unsaturated(Outputs()) is None  # type: ignore[arg-type]


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
        assert (conditions.incomplete(delta, due, "value", "") is not None) is warned

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
        assert conditions.incomplete(0.2, 1.0, "difference", "") == (
            "the attributions lack 0.2 of the difference 1 that they should add up to"
        )
        assert conditions.incomplete(0.04, 1.0, "difference", "") is None


class TestJumps:
    @pytest.mark.parametrize("place", [0.1, 2.3, 4.9])
    @pytest.mark.parametrize("height", [0.7, -3.0])
    def test_height_and_place(self, place: float, height: float) -> None:
        explanation = explain(IntegratedGradients(of_sum(step_at(place, height)), target=YES))
        warning, lacking = explanation.warnings
        assert f"jumps by {height:.3g} at {place / 5:.3g} of the way" in warning
        assert explanation.convergence_delta == pytest.approx(height, abs=0.02)
        assert "step" not in lacking.partition("lack")[2]

    def test_at_the_baseline(self) -> None:
        explanation = explain(IntegratedGradients(of_sum(step_at(0.0, 1.0)), target=YES))
        assert "jumps by 1 at 0 of the way" in explanation.warnings[0]

    def test_what_is_steep_is_no_jump(self) -> None:
        predictor = of_sum(lambda v: torch.sigmoid((v - 2.3) * 1e4))
        explanation = explain(IntegratedGradients(predictor, target=YES))
        assert explanation.details["converged"] is True
        assert explanation.warnings == []

    def test_against_one_of_several_baselines(self) -> None:
        predictor = of_sum(step_at(2.3, 0.7))
        baseline = ["zero", {"type": "token", "token": "b"}]  # 5 > 4 > 2.3: no jump from there
        explanation = explain(IntegratedGradients(predictor, baseline=baseline, target=YES))
        assert len([w for w in explanation.warnings if "jumps" in w]) == 1


class TestAbsorbed:
    def test_more_than_the_value(self) -> None:
        predictor = of_sum(lambda v: v - 4.9)  # 0.1, of which the constant took -4.9
        (warning,) = explain(LayerwiseRelevancePropagation(predictor, target=YES)).warnings
        assert "absorbed -4.9, more than the value 0.1" in warning
        assert "use 'deeplift'" in warning

    def test_less(self) -> None:
        predictor = of_sum(lambda v: v - 2)
        assert explain(LayerwiseRelevancePropagation(predictor, target=YES)).warnings == []

    def test_of_a_loss_that_is_next_to_nothing(self) -> None:
        interpreter = LayerwiseRelevancePropagation(of_sum(lambda v: v), target="log-likelihood")
        (warning,) = explain(interpreter).warnings
        assert "use the target 'logit'" in warning


class TestRandomPoints:
    def test_what_is_mostly_chance(self) -> None:
        predictor = of_sum(lambda v: torch.sigmoid((v - 2.5) * 60))
        (warning,) = explain(GradientShap(predictor, num_samples=8, target=YES)).warnings
        assert "standard error" in warning
        assert "raise num_samples" in warning
        assert explain(GradientShap(predictor, num_samples=4000, target=YES)).warnings == []

    def test_the_standard_error(self) -> None:
        sums = torch.tensor([0.0, 4.0, 0.0, 4.0], dtype=torch.float64)
        # s = 2.31, s / √4 = 1.15 of a mean of 2
        assert "2 with a standard error of 1.2" in str(conditions.noisy(sums, 4))
        assert conditions.noisy(sums + 1, 4) is None
        assert conditions.noisy(sums[:1], 1) is None


class TestOnePosition:
    def test_share(self) -> None:
        names = ["<s>", "a", "b"]
        warning = conditions.one_position(torch.tensor([0.97, 0.02, 0.01]), names)
        assert warning is not None
        assert warning.startswith("97.0% of the attention is on one position, 0 ('<s>')")
        assert conditions.one_position(torch.tensor([0.94, 0.05, 0.01]), names) is None
        # Where there is no other there is no sink.
        assert conditions.one_position(torch.ones(1), ["<s>"]) is None
        assert conditions.one_position(torch.zeros(3), names) is None

    def test_of_a_rollout(self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        """With nothing of the residual connection, and weights that all look at the first."""
        rollout = AttentionRollout(zoo.predictor("bert"), residual=0.0)
        given = [{"sentence": text} for text in ("a great film", "film")]
        assert not any(one.warnings for (one,) in rollout.interpret_batch_json(given))

        def first(self: Any, call: Any, stack: Any) -> Tensor:
            return torch.zeros_like(call.weights[:, 0].double()).index_fill(-1, torch.tensor(0), 1)

        monkeypatch.setattr(AttentionRollout, "_weights", first)
        for (one,) in rollout.interpret_batch_json(given):
            (warning,) = one.warnings
            assert "100.0% of the attention is on one position, 0 ('[CLS]')" in warning
            assert "'value-zeroing'" in warning


class TestNotFinite:
    @pytest.mark.parametrize("wrong", [math.nan, math.inf])
    def test_a_baseline_value(self, wrong: float) -> None:
        class Method(SaliencyInterpreter):
            def attribute(self, space: EmbeddingSpace) -> Attribution:
                scores = torch.zeros(space.layout.tokens.shape)
                return Attribution(scores, torch.full((len(scores),), wrong))

        with pytest.raises(InterpretationError, match=f"the target at the baseline is {wrong}"):
            explain(Method(of_sum(torch.tanh)))

    def test_the_target_at_a_baseline(self) -> None:
        """A model that divides by the size of what it reads has no value at zero."""
        predictor = of_sum(lambda v: torch.where(v == 0, torch.nan, torch.tanh(v)))
        for method in (DeepLift, IntegratedGradients):
            with pytest.raises(InterpretationError, match=r"baseline is nan.*name another"):
                explain(method(predictor, target=YES))

    def test_scores(self) -> None:
        """Where nothing else is to blame."""

        class Method(SaliencyInterpreter):
            def attribute(self, space: EmbeddingSpace) -> Attribution:
                count = len(space.instances)
                scores = torch.full(space.layout.tokens.shape, math.inf)
                return Attribution(scores, torch.zeros(count), absorbed=torch.zeros(count))

        with pytest.raises(InterpretationError, match="gave scores that are not finite"):
            explain(Method(of_sum(torch.tanh)))

    def test_what_was_absorbed(self) -> None:
        class Method(SaliencyInterpreter):
            def attribute(self, space: EmbeddingSpace) -> Attribution:
                scores = torch.zeros(space.layout.tokens.shape)
                return Attribution(scores, absorbed=torch.full((len(scores),), math.nan))

        with pytest.raises(InterpretationError, match=r"absorbed is nan.*'deeplift'"):
            explain(Method(of_sum(torch.tanh)))
