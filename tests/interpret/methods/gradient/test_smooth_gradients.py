"""The moments of noisy gradients, against autograd by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import (
    SaliencyInterpreter,
    SquareGradients,
    VarGradients,
)
from allennlp_saliency.interpret.methods.gradient import smooth_gradients
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of, spread_vectors
from tests.zoo.noise import given_noise

TEXT = "the plot was not bad , but the actor was badly unbelievable !"
WORDS = ("up", "down", "left", "right")


def scores(interpreter: SaliencyInterpreter, text: str = TEXT) -> list[float]:
    (explanation,) = interpreter.interpret_json({"sentence": text})
    return explanation.inputs[0].attributions


def curved(x: Tensor) -> Tensor:
    """A function of words' vectors that mixes words and dimensions, `(rows, 2)`."""
    mixed = torch.tanh(x @ x.new_tensor([[1.0, -0.5], [0.3, 0.8], [-0.7, 0.4]]))
    return mixed.sum(1) + mixed[:, 0] * mixed[:, -1]


YES: dict[str, Any] = {"type": "logit", "label": "yes"}


def gradient_at(x: Tensor) -> Tensor:
    """∇ of the second class at points `(rows, words, 3)`."""
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(curved(leaf)[:, 1].sum(), leaf)[0]


class TestMoments:
    N = 7

    @pytest.mark.parametrize(
        ("method", "moment"),
        [
            (SquareGradients, lambda g: np.mean(g**2, axis=0)),
            (VarGradients, lambda g: np.var(g, axis=0)),
        ],
    )
    def test_by_hand(
        self,
        method: type[SaliencyInterpreter],
        moment: Callable[[Any], Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        vectors = spread_vectors(WORDS, 3)
        drawn = torch.randn(1, self.N, 9, generator=torch.Generator().manual_seed(7))
        monkeypatch.setattr(smooth_gradients, "standard_normal", given_noise(drawn))
        interpreter = method(
            predictor_of(curved, vectors), target=YES, num_samples=self.N, stdev=0.3
        )
        x = torch.tensor([vectors[word] for word in ("up", "left", "down")])
        points = x + 0.3 * (x.max() - x.min()) * drawn[0].view(self.N, 3, 3)
        expected = moment(gradient_at(points).double().numpy()).mean(-1)
        assert max(expected) > 1e-3
        assert scores(interpreter, "up left down") == pytest.approx(expected.tolist(), abs=1e-5)

    @pytest.mark.parametrize("family", ["bert", "pair", "lstm"])
    def test_the_same_moments_on_real_models(self, zoo: Zoo, family: str) -> None:
        """E g² = Var g + (E g)², with the interpreters' own noise: what two of them say about the
        mean must be a square."""
        predictor = zoo.predictor(family)
        for given in zoo.inputs(family)[:3]:
            square, variance = (
                method(predictor, num_samples=5, stdev=0.2).interpret_json(given)[0]
                for method in (SquareGradients, VarGradients)
            )
            for left, right in zip(square.inputs, variance.inputs, strict=True):
                assert np.all(np.array(left.attributions) >= np.array(right.attributions) - 1e-9)
                assert min(right.attributions) >= 0
                assert max(right.attributions) > 0

    def test_no_noise_no_variance(self, zoo: Zoo) -> None:
        found = scores(VarGradients(zoo.predictor("bert"), stdev=0.0, num_samples=3))
        assert found == pytest.approx([0.0] * len(found), abs=1e-12)
