"""What readers of scores are warned of, each by a function whose fault is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import (
    AttentionRollout,
    Attribution,
    DeepLift,
    EmbeddingSpace,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    LayerwiseRelevancePropagation,
    SaliencyInterpreter,
    SequentialIntegratedGradients,
)
from allennlp_saliency.interpret.interpreter import explanation_warnings as conditions
from tests.interpret.interpreter.warned import LOCAL, YES, explain, of_sum, step_at
from tests.zoo import Zoo

LOCAL += ["square-gradients", "var-gradients", "lrp", "layer-gradient-x-activation"]


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
