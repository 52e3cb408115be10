"""Any method at noisy copies of the input, beside captum's tunnel and against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from captum.attr import InputXGradient as CaptumInputXGradient
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import NoiseTunnel as CaptumNoiseTunnel
from captum.attr import Saliency
from torch import Tensor

from allennlp_saliency.interpret import Explanation, InputXGradient, NoiseTunnel
from allennlp_saliency.interpret.methods.gradient import smooth_gradients
from allennlp_saliency.interpret.methods.noise_tunnel import moment
from tests.zoo import Zoo
from tests.zoo.functions import Opened, predictor_of, spread_vectors
from tests.zoo.noise import given_noise

WORDS = ("up", "down", "left", "right")
TEXT = "up left down"
YES: dict[str, Any] = {"type": "logit", "label": "yes"}
N = 6
STDEV = 0.3


def curved(x: Tensor) -> Tensor:
    """A function of words' vectors that mixes words, `(rows, 2)`."""
    total = torch.tanh(x[..., 0]) * x[..., 0].sum(1, keepdim=True)
    return torch.stack([x[..., 0].sum(1), (total**2).sum(1)], dim=-1)


def drawn(size: int) -> Tensor:
    return torch.randn(1, N, size, generator=torch.Generator().manual_seed(7))


def explained(predictor: Any, text: str = TEXT, **settings: Any) -> Explanation:
    settings = {"target": YES, "num_samples": N, "stdev": STDEV, **settings}
    (explanation,) = NoiseTunnel(predictor, **settings).interpret_json({"sentence": text})
    return explanation


class TestCaptum:
    """With a single dimension a token's score is its only coordinate's."""

    @pytest.mark.parametrize(
        ("statistic", "theirs"),
        [
            ("smoothgrad", "smoothgrad"),
            ("smoothgrad-squared", "smoothgrad_sq"),
            ("vargrad", "vargrad"),
        ],
    )
    @pytest.mark.parametrize(
        ("method", "captum", "settings"),
        [
            ({"type": "gradient"}, Saliency, {}),
            ({"type": "input-x-gradient"}, CaptumInputXGradient, {}),
            (
                {"type": "integrated-gradients", "steps": 5},
                CaptumIntegratedGradients,
                {"n_steps": 5, "method": "gausslegendre"},
            ),
        ],
    )
    def test_the_same_noise(
        self,
        monkeypatch: pytest.MonkeyPatch,
        statistic: str,
        theirs: str,
        method: dict[str, Any],
        captum: Any,
        settings: dict[str, Any],
    ) -> None:
        vectors = spread_vectors(WORDS, 1)
        noise = drawn(3)
        monkeypatch.setattr(smooth_gradients, "standard_normal", given_noise(noise))
        found = explained(predictor_of(curved, vectors), method=method, statistic=statistic)
        x = torch.tensor([vectors[word] for word in TEXT.split()])[None]
        sigma = STDEV * float(x.max() - x.min())
        monkeypatch.setattr(torch, "normal", lambda *_: sigma * noise.view(N, 3, 1))
        expected = CaptumNoiseTunnel(captum(curved)).attribute(
            x, nt_type=theirs, nt_samples=N, stdevs=sigma, target=1, **settings
        )
        ours = found.inputs[0].attributions
        assert ours == pytest.approx(expected.flatten().tolist(), rel=1e-4, abs=1e-5)
        assert max(map(abs, ours)) > 1e-2


class TestLinear:
    """F = Σ w · e_t: a token's score is w · (e_t + ε)."""

    W = torch.tensor([0.5, -1.0, 2.0])

    def predictor(self) -> Any:
        def linear(x: Tensor) -> Tensor:
            return torch.stack([torch.zeros(len(x)), (x @ self.W).sum(1)], dim=-1)

        return predictor_of(linear, spread_vectors(WORDS, 3))

    def terms(self) -> tuple[np.ndarray, float]:
        """w · e_t, and the standard deviation of w · ε."""
        x = torch.tensor([spread_vectors(WORDS, 3)[word] for word in TEXT.split()])
        sigma = STDEV * float(x.max() - x.min())
        return (x @ self.W).numpy(), sigma * float(self.W.norm())

    @pytest.mark.parametrize("method", ["input-x-gradient", "integrated-gradients", "deeplift"])
    def test_closed_forms(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        noise = drawn(9)
        monkeypatch.setattr(smooth_gradients, "standard_normal", given_noise(noise))
        products, spread = self.terms()
        moved = (noise.view(N, 3, 3) @ self.W).numpy() * spread / float(self.W.norm())
        samples = products + moved
        for statistic, expected in (
            ("smoothgrad", samples.mean(0)),
            ("smoothgrad-squared", (samples**2).mean(0)),
            ("vargrad", samples.var(0)),
        ):
            found = explained(self.predictor(), method=method, statistic=statistic).inputs[0]
            assert found.attributions == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-5)
        plain = explained(self.predictor(), method=method).inputs[0]
        errors = samples.std(0, ddof=1) / N**0.5
        assert plain.standard_errors == pytest.approx(errors.tolist(), rel=1e-4)

    def test_standard_errors_tell_how_far_off_the_scores_are(self) -> None:
        products, spread = self.terms()
        predictor = self.predictor()
        due = {"smoothgrad": products, "vargrad": np.full(3, spread**2)}
        for statistic, expected in due.items():
            near = 0
            for seed in range(60):
                one = explained(predictor, num_samples=100, seed=seed, statistic=statistic).inputs[
                    0
                ]
                assert one.standard_errors is not None
                off = np.abs(np.array(one.attributions) - expected)
                near += int((off <= 3 * np.array(one.standard_errors)).sum())
            assert near >= 0.95 * 180, statistic

    def test_one_sample_has_no_standard_error(self) -> None:
        assert explained(self.predictor(), num_samples=1).inputs[0].standard_errors is None
        assert moment(torch.ones(1, 2), "vargrad")[1] is None


class TestRealModels:
    def test_without_noise_it_is_the_method(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert")
        given = {"sentence": "the plot was not bad , but the actor was badly unbelievable !"}
        (tunnel,) = NoiseTunnel(predictor, stdev=0.0, num_samples=3).interpret_json(given)
        (plain,) = InputXGradient(predictor).interpret_json(given)
        expected = plain.inputs[0].attributions
        assert tunnel.inputs[0].attributions == pytest.approx(expected, rel=1e-4, abs=1e-7)
        assert tunnel.inputs[0].standard_errors == pytest.approx([0.0] * len(expected), abs=1e-7)

    def test_a_layer_method_sees_noise_in_the_input_embeddings(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert")
        opened = Opened.of(predictor, "the plot was not bad")
        settings: dict[str, Any] = {"num_samples": 4, "stdev": 0.2, "target": "log-likelihood"}
        method = {"type": "layer-gradient-x-activation", "layer": 0}
        found = explained(predictor, "the plot was not bad", method=method, **settings)
        x = opened.x
        sigma = 0.2 * float(x.max() - x.min())
        noise = torch.randn(4, *x.shape, generator=torch.Generator().manual_seed(0))
        model: Any = predictor._model
        (block,) = [m for name, m in model.named_modules() if name.endswith("layer.0")]
        expected = torch.zeros(len(x))
        for one in x + sigma * noise:
            seen = []

            def keep(module: Any, args: Any, output: Any, seen: list[Any] = seen) -> None:
                states = output[0] if isinstance(output, tuple) else output
                states.requires_grad_().retain_grad()
                seen.append(states)

            handle = block.register_forward_hook(keep)
            opened.value(one[None]).sum().backward()
            handle.remove()
            expected += (seen[0] * seen[0].grad).sum(-1)[0].detach() / 4
        by_token = [float(expected[a : b + 1].sum()) for a, b in opened.spans]
        assert found.inputs[0].attributions == pytest.approx(by_token, rel=1e-3, abs=1e-6)

    def test_what_the_method_warns_of_is_counted(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert")
        method = {"type": "gradient-shap", "num_samples": 2}
        found = explained(predictor, "the plot was not bad", method=method, target=None)
        assert any("noisy copies 'gradient-shap' warned, as: over 2" in w for w in found.warnings)


class TestConstruction:
    @pytest.fixture
    def predictor(self) -> Any:
        return predictor_of(curved, spread_vectors(WORDS, 1))

    @pytest.mark.parametrize(
        ("method", "why"),
        [
            ("attention", "it reads attention"),
            ("value-zeroing", "it reads attention"),
            ("random", "it does not look at the embeddings"),
            ("discretized-integrated-gradients", "its path leads from word to word"),
            ({"type": "lime", "removal": "delete"}, "it reads the text again"),
            ({"type": "gradient", "target": "logit"}, "beside 'method', not in it"),
            ("simple-gradient", "method is "),
            ("nothing", "method is "),
            ({}, "method is "),
            (7, "method is the name of a method"),
            ({"type": "lime", "samples": 3}, "samples"),
        ],
    )
    def test_refused(self, predictor: Any, method: Any, why: str) -> None:
        with pytest.raises(ConfigurationError, match=why):
            NoiseTunnel(predictor, method=method)

    def test_the_black_box_target(self, predictor: Any) -> None:
        target = {"type": "output", "key": "logits", "index": 0}
        with pytest.raises(ConfigurationError, match="the predictor's answers alone"):
            NoiseTunnel(predictor, method="lime", target=target)

    def test_the_config_is_left_as_it_is(self, predictor: Any) -> None:
        given = {"type": "integrated-gradients", "steps": 4, "baseline": {"type": "zero"}}
        tunnel = NoiseTunnel(predictor, method=given)
        assert given == {"type": "integrated-gradients", "steps": 4, "baseline": {"type": "zero"}}
        assert tunnel.config()["method"]["steps"] == 4
        assert "normalization" not in tunnel.config()["method"]
