"""DeepLIFT: the rules of softmax, norms and maxima against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.interpret.rules.deeplift.passes import Function, Passes, check_complete, t, tensors


def logarithmic_mean(p: Any, q: Any) -> Any:
    return (p - q) / (np.log(p) - np.log(q))


class TestSoftmax:
    """The rescale rule for exp, Σ and log, one after the other."""

    X, X_0 = np.array([0.5, -1.2, 2.0]), np.array([-0.3, 0.9, 0.1])

    def weights(self) -> Any:
        sums = np.exp(self.X).sum(), np.exp(self.X_0).sum()
        return logarithmic_mean(np.exp(self.X), np.exp(self.X_0)) / logarithmic_mean(*sums)

    def jacobian(self, function: Function) -> Any:
        rows = []
        for i in range(function(t(*self.X)).numel()):
            passes = Passes.of(
                lambda x, i=i: function(x).reshape(-1)[i], [t(*self.X)], [t(*self.X_0)]
            )
            rows.append(passes.multipliers[0].tolist())
        return np.array(rows)

    @pytest.mark.parametrize(
        "function",
        [lambda x: x.logsumexp(0), lambda x: torch.logsumexp(x, dim=-1, keepdim=True)],
    )
    def test_log_sum_exp(self, function: Function) -> None:
        w = self.weights()
        assert w.sum() < 1
        assert np.allclose(self.jacobian(function), w[None])

    @pytest.mark.parametrize("function", [lambda x: x.log_softmax(0), nn.LogSoftmax(dim=-1)])
    def test_log_softmax(self, function: Function) -> None:
        assert np.allclose(self.jacobian(function), np.eye(3) - self.weights()[None])

    @pytest.mark.parametrize(
        "function",
        [lambda x: x.softmax(0), nn.Softmax(dim=-1), lambda x: F.softmax(x, -1, dtype=x.dtype)],
    )
    def test_softmax(self, function: Function) -> None:
        p, p_0 = (np.exp(x) / np.exp(x).sum() for x in (self.X, self.X_0))
        m = logarithmic_mean(p, p_0)[:, None] * (np.eye(3) - self.weights()[None])
        assert np.allclose(self.jacobian(function), m)

    def test_the_same_is_the_derivative(self) -> None:
        (x,) = tensors((2, 5), seed=1)
        for function in (
            lambda x: x.softmax(-1)[0, 1],
            lambda x: x.log_softmax(-1)[1, 2],
            lambda x: x.logsumexp(-1)[0],
        ):
            (m,) = Passes.of(function, [x], [x]).multipliers
            leaf = x.clone().requires_grad_()
            (g,) = torch.autograd.grad(function(leaf), leaf)
            assert torch.allclose(m, g, atol=1e-12)

    @pytest.mark.parametrize("size", [1.0, 20.0, 200.0])
    @pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
    def test_far_apart(self, name: str, size: float) -> None:
        """Weights add up to 1 at most, sums are right, though e^200 is beyond float32."""
        x, x_0 = (size * one.sign() for one in tensors((40, 6), (40, 6), seed=4))
        x, x_0 = x.float(), x_0.float()
        noise = torch.randn(40, 6, generator=torch.Generator().manual_seed(5))
        function = getattr(torch, name)
        # Sums of a few numbers of this size are not known better, whatever the rule.
        rounding = 12 * torch.finfo(torch.float32).eps * max(size, 1)
        for wobble in (0.0, 0.01, 0.06, 3.0):
            near = x + wobble * noise
            passes = Passes.of(lambda x: function(x, -1), [near], [x_0])
            (m,) = passes.multipliers
            assert torch.isfinite(m).all()
            total = ((near - x_0) * m).sum(-1)
            change = passes.change if name == "logsumexp" else passes.change.sum(-1)
            assert (total - change).abs().max() <= rounding * max(float(change.abs().max()), 1)
            if name == "logsumexp":
                assert m.min() >= 0
                assert m.sum(-1).max() <= 1 + rounding

    def test_hardly_apart(self) -> None:
        """No cancellation where both passes are sure of the same."""
        x_0 = torch.tensor([[200.0, 200.0, -200.0, 200.0]])
        for gap in (1e-4, 0.04, 0.06, 1.0):
            x = torch.tensor([[200.0 + gap, 200.0, 200.0, -200.0]])
            weights = torch.tensor([[1.0, -2.0, 0.5, 3.0]])
            passes = Passes.of(lambda x: x.softmax(-1), [x], [x_0], weights)
            expected = float((weights * passes.change).sum())
            assert sum(passes.contributions) == pytest.approx(expected, abs=5e-5)

    @pytest.mark.parametrize("masked", [-math.inf, torch.finfo(torch.float32).min, -1e9])
    @pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
    def test_masked(self, name: str, masked: float) -> None:
        x, x_0 = tensors((4, 5), (4, 5), seed=6, dtype=torch.float32)
        mask = torch.tensor([[0, 0, 1, 0, 1], [1, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0] * 5]).bool()
        some = torch.randn(4, 5, generator=torch.Generator().manual_seed(7))

        def over_all(x: Tensor) -> Tensor:
            y = getattr(torch, name)(x.masked_fill(mask, masked), -1)
            # What is masked out has a log-probability that nobody looks at.
            return y if name != "log_softmax" else y.masked_fill(mask, 0)

        weights = some if name != "logsumexp" else some[:, 0]
        passes = Passes.of(over_all, [x], [x_0], weights)
        (m,) = passes.multipliers
        assert torch.isfinite(m).all()
        assert (m[mask] == 0).all()
        expected = float((weights * passes.change).sum())
        assert sum(passes.contributions) == pytest.approx(expected, abs=1e-5)
        # The same as of what is left when the masked ones are away.
        kept = ~mask[0]
        (small,) = Passes.of(
            lambda x: getattr(torch, name)(x, -1),
            [x[0, kept]],
            [x_0[0, kept]],
            some[0, kept] if name != "logsumexp" else some[0, 0],
        ).multipliers
        assert m[0, kept].tolist() == pytest.approx(small.tolist(), abs=1e-6)

    def test_added_masks(self) -> None:
        x, x_0 = tensors((4, 5), (4, 5), seed=6, dtype=torch.float32)
        for masked in (-math.inf, torch.finfo(torch.float32).min):
            mask = torch.zeros(5).index_fill(0, torch.tensor([1, 3]), masked)
            passes = Passes.of(lambda x, mask=mask: (x + mask).softmax(-1)[:, 0], [x], [x_0])
            assert torch.isfinite(passes.multipliers[0]).all()
            assert sum(passes.contributions) == pytest.approx(float(passes.change.sum()), abs=1e-5)

    @pytest.mark.filterwarnings("ignore:Implicit dimension")
    @pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (2, 2, 3, 4)])
    def test_a_dimension_that_nobody_named(self, shape: tuple[int, ...]) -> None:
        for module in (nn.Softmax(), nn.LogSoftmax()):
            check_complete(module, shape)


def layer_norm_multipliers(
    x: Any, x_0: Any, weight: Any, eps: float, centre: bool
) -> tuple[Any, Any]:
    """c / s as a quotient with s = √(mean c² + ε): multipliers and change, for one vector."""
    n = len(x)
    centring = np.eye(n) - (1 / n if centre else 0)
    c, c_0 = centring @ x, centring @ x_0
    s, s_0 = (math.sqrt((v**2).mean() + eps) for v in (c, c_0))
    y, y_0 = c / s, c_0 / s_0
    of_s = (c + c_0) / n / (s + s_0)
    m = (np.eye(n) - np.outer((y + y_0) / 2, of_s)) / ((s + s_0) / 2) @ centring
    return weight[:, None] * m, weight * (y - y_0)


class TestNorms:
    @pytest.mark.parametrize("affine", [True, False])
    @pytest.mark.parametrize("kind", ["layer", "rms", "rms-written-out", "layer-written-out"])
    def test_by_hand(self, kind: str, affine: bool) -> None:
        n, eps = 4, 1e-3
        x, x_0, weight, bias = tensors((n,), (n,), (n,), (n,), seed=8)
        if not affine:
            weight, bias = torch.ones_like(weight), torch.zeros_like(bias)
        given = {"weight": weight, "bias": bias} if affine else {}

        def function(x: Tensor) -> Tensor:
            if kind == "layer":
                return F.layer_norm(x, (n,), **given, eps=eps)
            if kind == "rms":
                return F.rms_norm(x, (n,), weight if affine else None, eps=eps)
            centred = x if kind == "rms-written-out" else x - x.mean(-1, keepdim=True)
            variance = centred.pow(2).mean(-1, keepdim=True)
            return weight * (centred * torch.rsqrt(variance + eps)) + bias

        m, change = layer_norm_multipliers(
            x.numpy(), x_0.numpy(), weight.numpy(), eps, "layer" in kind
        )
        for i in range(n):
            passes = Passes.of(lambda x, i=i: function(x)[i], [x], [x_0])
            assert passes.multipliers[0].tolist() == pytest.approx(m[i], abs=1e-10)
            assert passes.change.item() == pytest.approx(change[i], abs=1e-10)
            assert sum(passes.contributions) == pytest.approx(change[i], abs=1e-10)

    @pytest.mark.parametrize("kind", ["layer", "rms", "rms-written-out"])
    @pytest.mark.parametrize("size", [0.0, 1e-8, 1e-4])
    def test_a_baseline_of_hardly_any_variance(self, kind: str, size: float) -> None:
        """Multipliers stay as small as the outputs, though 1 / √ε is 1000; in float32."""
        (x, x_0) = tensors((3, 16), (3, 16), seed=9, dtype=torch.float32)
        x_0 = x_0 * size

        def function(x: Tensor) -> Tensor:
            if kind == "layer":
                return F.layer_norm(x, (16,), eps=1e-6)
            if kind == "rms":
                return F.rms_norm(x, (16,), eps=1e-6)
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

        weights = torch.randn(3, 16, generator=torch.Generator().manual_seed(10))
        passes = Passes.of(function, [x], [x_0], weights)
        assert passes.multipliers[0].abs().max() < 30
        expected = float((weights * passes.change).sum())
        assert sum(passes.contributions) == pytest.approx(expected, abs=2e-5)

    def test_both_without_variance(self) -> None:
        x, x_0 = torch.full((2, 8), 3.0), torch.full((2, 8), -1.0)
        passes = Passes.of(lambda x: F.layer_norm(x, (8,)), [x], [x_0])
        assert torch.isfinite(passes.multipliers[0]).all()
        assert passes.contributions == pytest.approx([0], abs=1e-4)

    def test_a_weight_that_the_model_makes(self) -> None:
        shape = (2, 4)
        check_complete(lambda x, w, b: F.layer_norm(x, (4,), w, b), shape, (4,), (4,))
        check_complete(lambda x, w: F.layer_norm(x, (4,)) * (1 + w), shape, shape)
        check_complete(lambda x, w: F.rms_norm(x, (4,), w), shape, (4,))

    def test_vectors_of_no_length_in_both_passes(self) -> None:
        def function(x: Tensor) -> Tensor:
            both = torch.cat([x, x * 0])
            return both.norm(dim=-1) + F.normalize(both, dim=-1).sum(-1) + both.std(-1)

        check_complete(function, (2, 3))


class TestLargest:
    @pytest.mark.parametrize(
        ("x", "x_0", "contributions"),
        [
            # y = 3, y⁰ = 2: all of the rise is the new largest's.
            ([3, 1], [0, 2], [1, 0]),
            # y = 1, y⁰ = 5: all of the fall is the old largest's.
            ([1, 0], [0, 5], [0, -4]),
            ([4, 2], [1, 3], [1, 0]),
            ([2, 2.5], [2, 4], [0, -1.5]),
            # y* = 6 > y = 5: as much up as down again.
            ([5, 6], [5, 2], [0, 1]),
        ],
    )
    def test_by_hand(self, x: list[float], x_0: list[float], contributions: list[float]) -> None:
        change = np.subtract(x, x_0)
        for function in (
            torch.max,
            Tensor.amax,
            lambda x: x.max(-1).values,
            lambda x: torch.max(x, dim=0, keepdim=True)[0],
            lambda x: x[None].amax(dim=(1,)),
            lambda x: torch.maximum(x[0], x[1]),
            lambda x: torch.max(x[:1], x[1:]),
            lambda x: -(-x).min(),
            lambda x: -torch.amin(-x, 0),
            lambda x: -torch.minimum(-x[0], -x[1]),
            lambda x: F.max_pool1d(x[None, None], 2),
        ):
            (m,) = Passes.of(function, [t(*x)], [t(*x_0)]).multipliers
            assert (m.numpy() * change).tolist() == pytest.approx(contributions)

    def test_no_multiplier_beyond_one(self) -> None:
        for seed in range(20):
            x, x_0 = tensors((5, 7), (5, 7), seed=seed)
            (m,) = Passes.of(lambda x: x.amax(-1), [x], [x_0 + seed / 5]).multipliers
            assert m.min() >= 0
            assert m.max() <= 1

    def test_where_nothing_changed_the_largest_has_the_gradient(self) -> None:
        (m,) = Passes.of(lambda x: x.amax(-1), [t([1, 3, 2])], [t([1, 3, 2])]).multipliers
        assert m.tolist() == [[0, 1, 0]]

    def test_places_stay_what_they_are(self) -> None:
        x, x_0 = tensors((3, 4), (3, 4), seed=1)
        places: list[Tensor] = []

        def function(x: Tensor) -> Tensor:
            found = x.max(-1)
            places.append(found.indices)
            return x.gather(-1, found.indices[:, None]).squeeze(-1) + x.min(1).values

        Passes.of(function, [x], [x_0])
        assert places[1].equal(x.argmax(-1))
