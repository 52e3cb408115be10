"""gradient-shap, against autograd by hand and captum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import GradientShap as CaptumGradientShap
from torch import Tensor

from allennlp_saliency.interpret import (
    GradientShap,
    IntegratedGradients,
)
from allennlp_saliency.interpret.methods.path import gradient_shap
from allennlp_saliency.interpret.space.noise import Noise
from tests.interpret.methods.gradient.test_smooth_gradients import (
    TEXT,
    WORDS,
    YES,
    curved,
    gradient_at,
    scores,
)
from tests.zoo import LABELS, Zoo
from tests.zoo.functions import Opened, predictor_of, spread_vectors
from tests.zoo.noise import given_noise


class FixedShap(GradientShap):
    """With random numbers that the test knows."""

    alphas: Tensor
    chosen: Tensor

    def attribute(self, space: Any) -> Any:
        baselines = torch.stack(self.baselines(space))
        return self.attribute_at(space, baselines, self.alphas, self.chosen)


class TestGradientShap:
    N = 12

    def vectors(self) -> dict[str, list[float]]:
        return spread_vectors(WORDS, 3)

    def embedded(self, text: str) -> Tensor:
        vectors = self.vectors()
        return torch.tensor([vectors[word] for word in text.split()])

    @pytest.mark.parametrize("several", [False, True])
    def test_captums_at_the_same_points(
        self, several: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = "up left down"
        names = ["right", "left"] if several else ["right"]
        interpreter = FixedShap(
            predictor_of(curved, self.vectors()),
            target=YES,
            baseline=[{"type": "token", "token": name} for name in names],
        )
        generator = torch.Generator().manual_seed(1)
        interpreter.alphas = torch.rand(self.N, generator=generator)
        interpreter.chosen = torch.randint(len(names), (self.N,), generator=generator)
        ours = scores(interpreter, text)

        monkeypatch.setattr(np.random, "uniform", lambda *_: interpreter.alphas.double().numpy())
        monkeypatch.setattr(np.random, "choice", lambda *_: interpreter.chosen.numpy())
        vectors = self.vectors()
        x_0 = torch.tensor([[vectors[name]] * 3 for name in names])
        theirs = CaptumGradientShap(curved).attribute(
            self.embedded(text)[None], x_0, n_samples=self.N, stdevs=0.0, target=1
        )
        assert theirs.abs().max() > 1e-2
        assert ours == pytest.approx(theirs.sum(-1)[0].tolist(), abs=1e-5)

    def test_on_bert(self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        predictor = zoo.predictor("bert")
        target = {"type": "logit", "label": LABELS[1]}
        interpreter = FixedShap(
            predictor, target=target, baseline={"type": "zero", "keep_special_tokens": False}
        )
        interpreter.alphas = torch.rand(self.N, generator=torch.Generator().manual_seed(1))
        interpreter.chosen = torch.zeros(self.N, dtype=torch.long)
        ours = scores(interpreter)
        opened = Opened.of(predictor, TEXT)
        monkeypatch.setattr(np.random, "uniform", lambda *_: interpreter.alphas.double().numpy())
        x = opened.x[None]
        theirs = CaptumGradientShap(opened.logits).attribute(
            x, torch.zeros_like(x), n_samples=self.N, stdevs=0.0, target=1
        )
        assert ours == pytest.approx(theirs.sum(-1)[0].tolist(), abs=1e-5)

    def test_noise_by_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text, stdev = "up left down", 0.2
        drawn = torch.randn(1, self.N, 9, generator=torch.Generator().manual_seed(7))
        monkeypatch.setattr(gradient_shap, "standard_normal", given_noise(drawn))
        interpreter = FixedShap(
            predictor_of(curved, self.vectors()),
            target=YES,
            stdev=stdev,
            baseline={"type": "token", "token": "right"},
        )
        interpreter.alphas = torch.rand(self.N, generator=torch.Generator().manual_seed(1))
        interpreter.chosen = torch.zeros(self.N, dtype=torch.long)
        x = self.embedded(text)
        sigma = stdev * (x.max() - x.min())
        noisy = x + sigma * drawn[0].view(self.N, 3, 3)
        x_0 = self.embedded("right right right")
        points = x_0 + interpreter.alphas.view(-1, 1, 1) * (noisy - x_0)
        expected = ((noisy - x_0) * gradient_at(points)).mean(0).sum(-1)
        assert scores(interpreter, text) == pytest.approx(expected.tolist(), abs=1e-5)

    def test_seeds(self) -> None:
        predictor = predictor_of(curved, self.vectors())
        one, same, other = (
            scores(GradientShap(predictor, stdev=0.1, seed=seed), "up left down")
            for seed in (3, 3, 4)
        )
        assert one == same
        assert np.abs(np.subtract(one, other)).max() > 1e-3

    def test_points_know_nothing_of_the_noise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Drawn from one seed's stream, α would be a function of the noise: by Box and Muller's
        formula z_j² + z_{j+8}² = -2 log(1 - α_j)."""
        seen: dict[str, Tensor] = {}
        own = gradient_shap.standard_normal

        def spy(space: Any, samples: int, seed: int, width: Tensor) -> Noise:
            noise = own(space, samples, seed, width)
            seen["noise"] = own(space, samples, seed, torch.ones(1)).copies(torch.arange(samples))
            return noise

        class Spy(GradientShap):
            def attribute_at(self, space: Any, b: Tensor, alphas: Tensor, chosen: Tensor) -> Any:
                seen["alphas"] = alphas
                return super().attribute_at(space, b, alphas, chosen)

        monkeypatch.setattr(gradient_shap, "standard_normal", spy)
        interpreter = Spy(predictor_of(curved, self.vectors()), stdev=0.1, num_samples=64)
        scores(interpreter, "up left down")
        z = seen["noise"].flatten()[:16].double()
        u = seen["alphas"][:8].double()
        assert not torch.allclose(z[:8] ** 2 + z[8:] ** 2, -2 * torch.log1p(-u), atol=1e-3)

    def test_many_samples_are_integrated_gradients(self) -> None:
        """The mean over α ~ U(0, 1) is the integral: with 8192 samples of a spread below 1 to
        within 4 / √8192 = 0.044, in practice much closer."""
        predictor = predictor_of(curved, self.vectors())
        baseline = {"type": "token", "token": "right"}
        exact = IntegratedGradients(predictor, target=YES, baseline=baseline, steps=64)
        found = GradientShap(predictor, target=YES, baseline=baseline, num_samples=8192)
        expected = scores(exact, "up left down")
        assert max(map(abs, expected)) > 0.1
        assert scores(found, "up left down") == pytest.approx(expected, abs=0.044)

    def test_several_baselines_are_drawn_from(self) -> None:
        predictor = predictor_of(curved, self.vectors())
        tokens = [{"type": "token", "token": name} for name in ("right", "left")]
        exact = [
            IntegratedGradients(predictor, target=YES, baseline=one, steps=64) for one in tokens
        ]
        mean = np.mean([scores(one, "up left down") for one in exact], axis=0)
        found = GradientShap(predictor, target=YES, baseline=tokens, num_samples=8192)
        assert scores(found, "up left down") == pytest.approx(mean, abs=0.044)
