"""How far explanations move, beside captum's number and against closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from captum.attr import InputXGradient as CaptumInputXGradient
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import Saliency
from captum.metrics import sensitivity_max
from torch import Tensor

from allennlp_saliency.interpret import (
    Attention,
    Gradient,
    InputXGradient,
    InterpretationError,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.faithfulness import MaxSensitivity, Measuring, compare
from allennlp_saliency.interpret.faithfulness import sensitivity as module
from tests.interpret.properties.cases import each_method, make
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of, spread_vectors
from tests.zoo.noise import given_noise

WORDS = ("up", "down", "left", "right")
TEXTS = [{"sentence": text} for text in ("up left down", "right right", "down")]
YES: dict[str, Any] = {"type": "logit", "label": "yes"}
N = 7


def curved(x: Tensor) -> Tensor:
    """A function of words' vectors that mixes words, `(rows, 2)`."""
    total = torch.tanh(x[..., 0]) * x[..., 0].sum(1, keepdim=True)
    return torch.stack([x[..., 0].sum(1), (total**2).sum(1)], dim=-1)


@pytest.mark.parametrize(
    ("name", "settings", "captum", "theirs"),
    [
        ("gradient", {}, Saliency, {}),
        ("input-x-gradient", {}, CaptumInputXGradient, {}),
        (
            "integrated-gradients",
            {"steps": 5},
            CaptumIntegratedGradients,
            {"n_steps": 5, "method": "gausslegendre"},
        ),
    ],
)
def test_the_same_perturbations_have_captums_number(
    monkeypatch: pytest.MonkeyPatch, name: str, settings: Any, captum: Any, theirs: Any
) -> None:
    vectors = spread_vectors(WORDS, 1)
    drawn = 2 * torch.rand(1, N, 3, generator=torch.Generator().manual_seed(3)) - 1
    monkeypatch.setattr(module, "Noise", given_noise(drawn))
    method = SaliencyInterpreter.by_name(name)(
        predictor_of(curved, vectors), target=YES, **settings
    )
    ((found,),) = MaxSensitivity(radius=0.1, num_samples=N).of_method(method, TEXTS[:1])
    x = torch.tensor([vectors[word] for word in TEXTS[0]["sentence"].split()])[None]
    shifts = 0.1 * float(x.max() - x.min()) * drawn.view(N, 3, 1)
    explain = captum(curved)

    def scores(inputs: Any) -> Any:
        with torch.enable_grad():
            given = inputs[0] if isinstance(inputs, tuple) else inputs
            found = explain.attribute(given.requires_grad_(), target=1, **theirs)
            return (found,) if isinstance(inputs, tuple) else found

    expected = sensitivity_max(scores, x, lambda given: given + shifts, n_perturb_samples=N)
    assert found == pytest.approx(float(expected), rel=1e-4)
    assert found > 1e-2


def test_a_linear_models_gradient_does_not_move() -> None:
    def linear(x: Tensor) -> Tensor:
        return torch.stack([torch.zeros(len(x)), x.sum((1, 2))], dim=-1)

    predictor = predictor_of(linear, spread_vectors(WORDS, 3))
    still = MaxSensitivity().of_method(Gradient(predictor, target=YES), TEXTS)
    assert still == [[pytest.approx(0.0, abs=1e-6)]] * 3
    # x · w moves by r (max(x) - min(x)) ‖w‖₁ at most.
    moving = MaxSensitivity(radius=0.1, num_samples=50)
    found = moving.of_method(InputXGradient(predictor, target=YES), TEXTS)
    for one, text in zip(found, TEXTS, strict=True):
        x = np.array([spread_vectors(WORDS, 3)[word] for word in text["sentence"].split()])
        most = 0.1 * np.ptp(x) * 3 * math.sqrt(len(x)) / np.linalg.norm(x.sum(1))
        assert isinstance(one, list)
        assert 0.1 * most < one[0] <= most


def test_seeds_batches_and_samples(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    inputs = zoo.inputs("bert")[:3]
    method = InputXGradient(predictor)
    metric = MaxSensitivity()
    together = metric.of_method(method, inputs)
    alone = [metric.of_method(method, [one])[0] for one in inputs]
    assert together == [pytest.approx(one, rel=1e-3) for one in alone]
    assert together == metric.of_method(method, inputs)
    assert together != metric.of_method(method, inputs, seed=1)


def test_where_it_is_not_defined(zoo: Zoo) -> None:
    text = {"sentence": "the plot was not bad"}
    (found,) = MaxSensitivity().of_method(Attention(zoo.predictor("bert")), [text])
    assert isinstance(found, list)
    assert math.isnan(found[0])

    def constant(x: Tensor) -> Tensor:
        return (0 * x).sum(1)

    method = InputXGradient(predictor_of(constant, spread_vectors(WORDS, 2)), target=YES)
    (found,) = MaxSensitivity().of_method(method, TEXTS[:1])
    assert isinstance(found, list)
    assert math.isnan(found[0])


def test_in_a_comparison(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    inputs = [{"sentence": "the plot was not bad"}, {"sentence": ""}, {"sentence": "a bad film"}]
    methods = ["input-x-gradient", "attention", {"type": "lime", "num_samples": 8}]
    metrics = ["max-sensitivity", "comprehensiveness"]
    found = compare(predictor, inputs, methods, metrics, ["mask", "zero"])
    for removal in ("mask", "zero"):
        assert found.interval("input-x-gradient", "max-sensitivity", removal).mean > 0
        assert found.interval("attention", "max-sensitivity", removal).count == 0
        assert found.interval("random", "max-sensitivity", removal).count == 0
    alone = MaxSensitivity().of_method(InputXGradient(predictor), [inputs[0], inputs[2]])
    both = found.interval("input-x-gradient", "max-sensitivity", "mask")
    assert both.mean == pytest.approx(np.mean(alone), rel=1e-3)
    only = compare(predictor, inputs[:1], methods[:1], ["max-sensitivity"], ["mask"])
    assert only.interval("input-x-gradient", "max-sensitivity", "mask").count == 1


def test_what_is_refused(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    text = {"sentence": "the plot was not bad"}
    kept = {"one": InputXGradient(predictor).interpret_batch_json([text])}
    (result,) = Measuring(predictor, kept, {"s": MaxSensitivity()}).measurements([text])
    assert isinstance(result, InterpretationError)
    assert "of_method" in str(result)
    for wrong in ({"radius": 0}, {"num_samples": 0}, {"radius": "wide"}):
        with pytest.raises(ConfigurationError):
            MaxSensitivity(**wrong)


@each_method
def test_every_method_has_a_number_or_is_bound_to_texts(zoo: Zoo, method: str) -> None:
    made = make(method, zoo.predictor("bert"))
    inputs = zoo.inputs("bert")[:2]
    for found in MaxSensitivity(num_samples=2).of_method(made, inputs):
        assert isinstance(found, list), found
        assert [math.isnan(one) for one in found] == [made.bound_to_text is not None]
