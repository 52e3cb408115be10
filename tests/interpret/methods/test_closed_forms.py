"""A bag of words is linear in its embeddings, so all that gradients say of it is known by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from allennlp.common.checks import ConfigurationError
from numpy.typing import NDArray
from torch import Tensor

from allennlp_saliency.interpret import (
    Gradient,
    GradientNorm,
    InputXGradient,
    IntegratedGradients,
    SaliencyInterpreter,
    SmoothGradients,
    Target,
)
from tests.zoo import LABELS, Zoo

Array = NDArray[np.float64]
# Words that move the logit far, so that polynomials of it have something to integrate.
TEXT = "we never ever had a scene at"


@dataclass
class Bag:
    """logit(x) = w · mean(x) + b, for one text and one label.

    Attributes:
        x: The words' embeddings, `(words, dim)`.
        matrix: All words' embeddings.
        weights: `(labels, dim)`.
        bias: `(labels,)`.
        label: The predicted label's index.
    """

    x: Array
    matrix: Array
    weights: Array
    bias: Array
    label: int

    @classmethod
    def of(cls, zoo: Zoo, text: str = TEXT) -> Bag:
        model: Any = zoo.predictor("boe")._model
        matrix = model._text_field_embedder.token_embedder_tokens.weight
        indices = [model.vocab.get_token_index(word) for word in text.split()]
        weights, bias = model._classification_layer.weight, model._classification_layer.bias
        arrays = [one.detach().double().numpy() for one in (matrix[indices], matrix, weights, bias)]
        made = cls(*arrays, label=-1)
        made.label = int(np.argmax(made.logits(made.x)))
        return made

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def w(self) -> Array:
        return self.weights[self.label]

    def logits(self, x: Array) -> Array:
        return self.weights @ x.mean(0) + self.bias

    def logit(self, x: Array) -> float:
        return float(self.logits(x)[self.label])

    def probabilities(self) -> Array:
        exponents = np.exp(self.logits(self.x))
        return exponents / exponents.sum()


@pytest.fixture
def bag(zoo: Zoo) -> Bag:
    return Bag.of(zoo)


def scores(interpreter: SaliencyInterpreter, text: str = TEXT) -> list[float]:
    (explanation,) = interpreter.interpret_json({"sentence": text})
    (one,) = explanation.inputs
    assert one.tokens == text.split()
    return one.attributions


@Target.register("test-power")
class Power(Target):
    """logit ** exponent: a polynomial along every straight path."""

    def __init__(self, exponent: int) -> None:
        super().__init__()
        self.exponent = exponent

    def __call__(self, outputs: Any) -> Tensor:
        return outputs.at(outputs.logits) ** self.exponent


class TestGradient:
    @pytest.mark.parametrize(
        ("reduction", "expected"),
        [
            ("mean-abs", lambda g: np.abs(g).mean()),
            ("l1", lambda g: np.abs(g).sum()),
            ("l2", lambda g: np.sqrt((g**2).sum())),
            ("sum", lambda g: g.sum()),
        ],
    )
    def test_reductions(self, zoo: Zoo, bag: Bag, reduction: str, expected: Any) -> None:
        interpreter = Gradient(zoo.predictor("boe"), reduction=reduction, target="logit")
        assert scores(interpreter) == pytest.approx([expected(bag.w / bag.n)] * bag.n, abs=1e-6)

    def test_norm(self, zoo: Zoo, bag: Bag) -> None:
        found = scores(GradientNorm(zoo.predictor("boe"), target="logit"))
        assert found == pytest.approx([np.linalg.norm(bag.w) / bag.n] * bag.n, abs=1e-6)

    def test_targets(self, zoo: Zoo, bag: Bag) -> None:
        p = bag.probabilities()
        own = np.eye(len(LABELS))[bag.label]
        other = 0 if bag.label else 1
        # The gradients of the target with respect to the logits.
        by_logits = {
            "logit": own,
            "log-likelihood": own - p,
            "probability": p[bag.label] * (own - p),
            "contrast": own - np.eye(len(LABELS))[other],
        }
        for name, gradient in by_logits.items():
            against = {"against": LABELS[other]} if name == "contrast" else {}
            interpreter = InputXGradient(zoo.predictor("boe"), target={"type": name, **against})
            expected = bag.x @ (gradient @ bag.weights) / bag.n
            assert scores(interpreter) == pytest.approx(expected.tolist(), abs=1e-6), name

    def test_the_same_word_twice(self, zoo: Zoo) -> None:
        found = scores(InputXGradient(zoo.predictor("boe")), "good film good")
        assert found[0] == pytest.approx(found[2], abs=1e-7)
        assert found[0] != pytest.approx(found[1], abs=1e-4)


class TestIntegratedGradients:
    @pytest.mark.parametrize(
        "rule", ["gauss-legendre", "boole", "midpoint", "trapezoid", "left", "right"]
    )
    def test_a_linear_target_needs_no_steps(self, zoo: Zoo, bag: Bag, rule: str) -> None:
        predictor = zoo.predictor("boe")
        word = int(predictor._model.vocab.get_token_index("film"))
        for baseline, start in (
            ("zero", np.zeros(8)),
            ({"type": "token", "token": "film"}, bag.matrix[word]),
            ("mean", bag.matrix.mean(0)),
        ):
            interpreter = IntegratedGradients(
                predictor, rule=rule, steps=5, baseline=baseline, target="logit"
            )
            (explanation,) = interpreter.interpret_json({"sentence": TEXT})
            expected = (bag.x - start) @ bag.w / bag.n
            found = explanation.inputs[0].attributions
            assert found == pytest.approx(expected.tolist(), abs=1e-6)
            at_baseline = bag.logit(np.broadcast_to(start, bag.x.shape))
            assert explanation.target["value"] == pytest.approx(bag.logit(bag.x), abs=1e-6)
            assert explanation.target["baseline_value"] == pytest.approx(at_baseline, abs=1e-6)
            assert explanation.convergence_delta == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize("exponent", [2, 3, 6])
    @pytest.mark.parametrize(
        ("rule", "alphas"),
        [
            ("left", [0, 1 / 4, 2 / 4, 3 / 4]),
            ("right", [1 / 4, 2 / 4, 3 / 4, 1]),
            ("midpoint", [1 / 8, 3 / 8, 5 / 8, 7 / 8]),
        ],
    )
    def test_means_over_points(
        self, zoo: Zoo, bag: Bag, exponent: int, rule: str, alphas: list[float]
    ) -> None:
        interpreter = IntegratedGradients(
            zoo.predictor("boe"), rule=rule, steps=4, target=Power(exponent)
        )
        slopes = [exponent * bag.logit(alpha * bag.x) ** (exponent - 1) for alpha in alphas]
        expected = bag.x @ bag.w / bag.n * np.mean(slopes)
        assert scores(interpreter) == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-6)

    @pytest.mark.parametrize(
        ("rule", "steps", "exponent"),
        [("gauss-legendre", 1, 2), ("gauss-legendre", 3, 6), ("boole", 5, 6), ("trapezoid", 2, 2)],
    )
    def test_exact_up_to_the_rules_degree(
        self, zoo: Zoo, bag: Bag, rule: str, steps: int, exponent: int
    ) -> None:
        # ∫ d/dα logit(αx)^k dα, in shares of the words.
        predictor = zoo.predictor("boe")
        interpreter = IntegratedGradients(predictor, rule=rule, steps=steps, target=Power(exponent))
        start, end = bag.bias[bag.label], bag.logit(bag.x)
        shares = bag.x @ bag.w / bag.n / (end - start)
        expected = shares * (end**exponent - start**exponent)
        assert scores(interpreter) == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-6)
        # One degree more is too much, so that the test can fail.
        (rough,) = IntegratedGradients(
            predictor, rule=rule, steps=steps, target=Power(exponent + 2)
        ).interpret_json({"sentence": TEXT})
        assert rough.convergence_delta is not None
        assert abs(rough.convergence_delta) > 1e-4


class TestSmoothGradients:
    @pytest.mark.parametrize("stdev", [0.0, 0.3])
    def test_noise_does_not_move_a_linear_target(self, zoo: Zoo, bag: Bag, stdev: float) -> None:
        predictor = zoo.predictor("boe")
        settings: dict[str, Any] = {"stdev": stdev, "num_samples": 3, "target": "logit"}
        expected = bag.x @ bag.w / bag.n
        found = scores(SmoothGradients(predictor, **settings))
        assert found == pytest.approx(expected.tolist(), abs=1e-6)
        for reduction, size in (
            ("l2", np.linalg.norm(bag.w)),
            ("l1", np.abs(bag.w).sum()),
            ("mean-abs", np.abs(bag.w).mean()),
        ):
            interpreter = SmoothGradients(
                predictor, times_input=False, reduction=reduction, **settings
            )
            assert scores(interpreter) == pytest.approx([size / bag.n] * bag.n, abs=1e-6)

    def test_the_noise_is_as_wide_as_told(self, zoo: Zoo, bag: Bag) -> None:
        # E[3 (logit + w · mean ε)²] = 3 (logit² + σ² |w|² / n), σ a share of the range of values.
        interpreter = SmoothGradients(
            zoo.predictor("boe"), num_samples=40000, stdev=0.5, target=Power(3)
        )
        sigma = 0.5 * (bag.x.max() - bag.x.min())
        spread = sigma**2 * (bag.w**2).sum() / bag.n
        slope = 3 * (bag.logit(bag.x) ** 2 + spread)
        assert spread > 0.2 * bag.logit(bag.x) ** 2, "the noise would make no difference"
        expected = bag.x @ bag.w / bag.n * slope
        # Four standard errors of the mean of a squared normal variable, at most √2 of it each.
        tolerance = 4 * np.sqrt(2 / 40000)
        assert scores(interpreter) == pytest.approx(expected.tolist(), rel=tolerance)

    def test_the_range_is_the_instances_own(self, zoo: Zoo) -> None:
        # In a batch with words of other sizes, an instance gets the noise that it gets alone.
        interpreter = SmoothGradients(zoo.predictor("lstm"), num_samples=4, stdev=0.5)
        inputs = [{"sentence": text} for text in ("good", "the plot was awful", "a film")]
        together = interpreter.interpret_batch_json(inputs)
        for given, (explanation,) in zip(inputs, together, strict=True):
            (alone,) = interpreter.interpret_json(given)
            found = explanation.inputs[0].attributions
            assert found == pytest.approx(alone.inputs[0].attributions, abs=1e-6)


class TestRandom:
    def test_standard_normal(self, zoo: Zoo) -> None:
        text = " ".join(["good"] * 2000)
        found = scores(SaliencyInterpreter.by_name("random")(zoo.predictor("boe")), text)
        assert abs(np.mean(found)) < 4 / np.sqrt(2000)
        assert np.std(found) == pytest.approx(1, abs=0.1)
        assert len(set(found)) == 2000


class TestConstructors:
    @pytest.mark.parametrize(
        ("name", "settings", "told"),
        [
            ("integrated-gradients", {"rule": "simpson"}, "gauss-legendre"),
            ("integrated-gradients", {"steps": 0}, "steps"),
            ("integrated-gradients", {"steps": 20, "max_steps": 10}, "max_steps"),
            ("integrated-gradients", {"tolerance": 0.0}, "tolerance"),
            ("integrated-gradients", {"relative_tolerance": -1.0}, "relative_tolerance"),
            ("integrated-gradients", {"baseline": "black"}, "zero"),
            ("smooth-gradients", {"num_samples": 0}, "num_samples"),
            ("smooth-gradients", {"stdev": -0.1}, "stdev"),
            ("smooth-gradients", {"times_input": False, "reduction": "sum"}, "LayerNorm"),
            ("gradient", {"reduction": "max"}, "mean-abs"),
            ("gradient", {"target": "logits"}, "logit"),
            ("gradient", {"target": 3}, "target"),
            ("gradient", {"target": {"type": "contrast"}}, "against"),
            ("gradient", {"aggregation": "max"}, "mean"),
            ("gradient", {"normalization": "softmax"}, "l1-abs"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, zoo: Zoo, name: str, settings: dict[str, Any], told: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=told):
            SaliencyInterpreter.by_name(name)(zoo.predictor("boe"), **settings)

    @pytest.mark.parametrize("budget", [0, -1])
    def test_budget(self, zoo: Zoo, budget: int) -> None:
        with pytest.raises(ConfigurationError, match="token_budget"):
            Gradient(zoo.predictor("boe"), token_budget=budget)

    def test_a_params_dict_stays_as_it_is(self, zoo: Zoo) -> None:
        target = {"type": "logit", "label": "positive"}
        Gradient(zoo.predictor("boe"), target=target)
        assert target == {"type": "logit", "label": "positive"}
