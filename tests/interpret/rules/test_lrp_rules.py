"""The rules of AttnLRP worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from allennlp_saliency.interpret.rules.lrp_rules import LRP_RULES, LrpPass
from allennlp_saliency.interpret.rules.rule_mode import RuleMode

from .lrp import Array, relevance, t, tensors


def by_epsilon(x: Array, weight: Array, bias: Array, r: Array, epsilon: float) -> Array:
    """R_i = Σ_j x_i w_ji R_j / (z_j + ε sign z_j), written as in the paper."""
    z = weight @ x + bias
    return np.array(
        [
            sum(
                x[i] * weight[j, i] * r[j] / (z[j] + epsilon * np.sign(z[j])) for j in range(len(z))
            )
            for i in range(len(x))
        ]
    )


class TestLinear:
    @pytest.mark.parametrize("epsilon", [0.0, 1e-6, 0.25])
    @pytest.mark.parametrize("kind", ["linear", "addmm", "conv1d"])
    def test_epsilon_rule(self, epsilon: float, kind: str) -> None:
        x, weight, bias, r = tensors((3,), (2, 3), (2,), (2,))

        def function(x: Tensor) -> Tensor:
            if kind == "linear":
                return F.linear(x, weight, bias)
            if kind == "addmm":
                return torch.addmm(bias, x[None], weight.T)[0]
            return F.conv1d(x[:, None], weight[..., None], bias)[:, 0]

        (found,), absorbed = relevance(function, [x], r, epsilon)
        weight_, bias_, x_, r_ = (one.numpy() for one in (weight, bias, x, r))
        assert found == pytest.approx(by_epsilon(x_, weight_, bias_, r_, epsilon))
        z = weight_ @ x_ + bias_
        stable = z + epsilon * np.sign(z)
        assert absorbed["bias"] == pytest.approx((bias_ * r_ / stable).sum())
        lost = (epsilon * np.sign(z) * r_ / stable).sum()
        assert absorbed.get("epsilon", 0) == pytest.approx(lost)
        assert found.sum() + sum(absorbed.values()) == pytest.approx(r_.sum())

    def test_a_scaled_bias(self) -> None:
        x, weight, bias, r = tensors((1, 3), (3, 2), (2,), (1, 2))
        (found,), absorbed = relevance(
            lambda x: torch.addmm(bias, x, weight, beta=0.5, alpha=2), [x], r
        )
        z = 2 * x @ weight + 0.5 * bias
        assert absorbed["bias"] == pytest.approx(float((0.5 * bias * r / z).sum()))
        assert found.sum() + absorbed["bias"] == pytest.approx(float(r.sum()))

    def test_perceptron(self) -> None:
        """Two layers with biases and a relu, layer by layer as in Bach et al., equation 58."""
        x, w_1, b_1, w_2, b_2 = tensors((3,), (4, 3), (4,), (2, 4), (2,), seed=3)
        epsilon = 0.01
        (found,), absorbed = relevance(
            lambda x: F.linear(F.linear(x, w_1, b_1).relu(), w_2, b_2)[:1], [x], None, epsilon
        )
        x_, w_1_, b_1_, w_2_, b_2_ = (one.numpy() for one in (x, w_1, b_1, w_2, b_2))
        z_1 = w_1_ @ x_ + b_1_
        h = np.maximum(z_1, 0)
        z_2 = w_2_ @ h + b_2_
        r_2 = np.array([z_2[0], 0.0])
        r_1 = by_epsilon(h, w_2_, b_2_, r_2, epsilon)
        assert found == pytest.approx(by_epsilon(x_, w_1_, b_1_, r_1, epsilon))
        stable_1, stable_2 = (z + epsilon * np.sign(z) for z in (z_1, z_2))
        biases = (b_1_ * r_1 / stable_1).sum() + (b_2_ * r_2 / stable_2).sum()
        assert absorbed["bias"] == pytest.approx(biases)
        lost = sum(
            (epsilon * np.sign(z) * r / s).sum()
            for z, r, s in ((z_1, r_1, stable_1), (z_2, r_2, stable_2))
        )
        assert absorbed["epsilon"] == pytest.approx(lost)
        assert absorbed.get("nonlinearity", 0) == pytest.approx(0, abs=1e-12)


class TestRules:
    """Achtibat et al. 2024, section 3."""

    @pytest.mark.parametrize(
        "function", [F.gelu, torch.tanh, torch.relu, F.silu, lambda x: x**3, torch.reciprocal]
    )
    def test_nonlinearities_hand_on_what_they_get(self, function: Any) -> None:
        (x,) = tensors((5,), seed=1)
        x = x.abs() + 0.1
        (r,) = tensors((5,), seed=2)
        (found,), absorbed = relevance(function, [x], r)
        assert found == pytest.approx(r.numpy())
        assert absorbed["nonlinearity"] == pytest.approx(0, abs=1e-12)

    def test_the_value_at_zero_is_no_ones(self) -> None:
        # sigmoid(0) = 1/2 comes of nothing of the input.
        (found,), absorbed = relevance(torch.sigmoid, [t(0, 2, -2)], t(0.7, 0.3, 0.1))
        above, below = (1 / (1 + math.exp(-z)) for z in (2, -2))
        shares = [0, 0.3 * (above - 0.5) / above, 0.1 * (below - 0.5) / below]
        assert found.tolist() == pytest.approx(shares)
        assert absorbed["nonlinearity"] == pytest.approx(1.1 - sum(shares))

    @pytest.mark.parametrize(
        "function",
        [
            F.logsigmoid,
            torch.sigmoid,
            F.softplus,
            torch.exp,
            lambda x: x.sigmoid().log(),
            lambda x: x.log_softmax(0)[0].exp(),
            lambda x: x.softmax(0)[0].logit(),
            lambda x: -F.binary_cross_entropy(x.sigmoid(), torch.ones_like(x)),
            lambda x: -F.binary_cross_entropy_with_logits(x, torch.ones_like(x)),
        ],
    )
    def test_what_raises_a_target_speaks_for_it(self, function: Any) -> None:
        """Whatever the signs of the target and of what it is a function of: a log-likelihood is
        negative, and so is the logit of what is unlikely."""
        for x in (t(3.0), t(0.4), t(-0.4), t(-3.0), t(0.001)):
            pair = torch.cat([x, t(1.0)])
            (found,), _ = relevance(function, [pair])
            assert found[0] / float(x[0]) > 0

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
    @pytest.mark.parametrize(
        ("function", "slope"), [(torch.sigmoid, 0.25), (F.softplus, 0.5), (torch.exp, 1.0)]
    )
    def test_near_zero_the_share_is_that_of_the_slope(
        self, function: Any, slope: float, dtype: torch.dtype
    ) -> None:
        """There f(x) - f(0) is what rounding leaves of it."""
        x = torch.tensor([1e-2, -1e-3, 1e-4, -1e-6, 1e-8, 1e-12, -1e-30], dtype=dtype)
        passed = LrpPass()
        leaf = x.clone().requires_grad_()
        with RuleMode(LRP_RULES.bound(passed)):
            y = function(leaf)
        (found,) = torch.autograd.grad(y.sum(), leaf)
        assert found.double().tolist() == pytest.approx([slope] * len(x), rel=0.02)
        # What 1/2 is due to is noted, as it is farther from zero.
        total = float((found * x).double().sum()) + sum(passed.absorbed.values())
        assert total == pytest.approx(float(y.detach().double().sum()), rel=0.01)

    @pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh, F.gelu, torch.exp, torch.relu])
    def test_parts_of_a_sum_that_is_zero_have_their_shares(self, function: Any) -> None:
        def slopes(rest: float) -> list[float]:
            leaves = [t(1.0).requires_grad_(), t(rest - 1).requires_grad_()]
            with RuleMode(LRP_RULES.bound(LrpPass())):
                y = function(leaves[0] + leaves[1])
            return [float(one) for one in torch.autograd.grad(y.sum(), leaves)]

        assert slopes(0.0) == pytest.approx(slopes(-1e-7), abs=1e-6)

    def test_the_logarithm_of_a_softmax_gets_what_the_log_softmax_gets(self) -> None:
        (x,) = tensors((2, 4), seed=3)
        (whole,), of_whole = relevance(lambda x: x.log_softmax(-1)[:, 1], [x])
        (parts,), of_parts = relevance(lambda x: x.softmax(-1).log()[:, 1], [x])
        assert parts == pytest.approx(whole)
        assert sum(of_parts.values()) == pytest.approx(sum(of_whole.values()))

    def test_factors_get_halves(self) -> None:
        a, b, r = tensors((2, 3), (2, 3), (2, 3))
        for function in (lambda a, b: a * b, torch.mul):
            (of_a, of_b), absorbed = relevance(function, [a, b], r)
            assert of_a == pytest.approx(r.numpy() / 2)
            assert of_b == pytest.approx(r.numpy() / 2)
            assert absorbed == {}

    def test_matrices_get_halves(self) -> None:
        a, b, r = tensors((2, 3), (3, 4), (2, 4))
        share = r / (a @ b)
        expected = a * (share @ b.T) / 2, b * (a.T @ share) / 2
        for function in (
            torch.matmul,
            lambda a, b: torch.einsum("ij,jk->ik", a, b),
            lambda a, b: F.linear(a, b.T),
        ):
            (of_a, of_b), _ = relevance(function, [a, b], r)
            assert of_a == pytest.approx(expected[0].numpy())
            assert of_b == pytest.approx(expected[1].numpy())

    def test_a_constant_factor_hands_on_all(self) -> None:
        a, b, r = tensors((2, 3), (2, 3), (2, 3))
        (found,), absorbed = relevance(lambda a: a * b, [a], r)
        assert found == pytest.approx(r.numpy())
        assert absorbed == {}

    def test_what_divides_is_a_constant(self) -> None:
        a, b, r = tensors((2, 3), (2, 3), (2, 3))
        for function in (
            lambda a, b: a / b,
            lambda a, b: a * torch.rsqrt(b**2),
            lambda a, b: a * (b**2) ** -0.5,
        ):
            (of_a, of_b), _ = relevance(function, [a, b], r)
            assert of_a == pytest.approx(r.numpy())
            assert of_b.tolist() == np.zeros_like(of_b).tolist()

    def test_sums_are_shared_by_size(self) -> None:
        a, b, r = t(3, 1), t(1, -5), t(8, 4)
        (of_a, of_b), absorbed = relevance(lambda a, b: a + b, [a, b], r)
        assert of_a.tolist() == pytest.approx([6, -1])
        assert of_b.tolist() == pytest.approx([2, 5])
        (of_a,), absorbed = relevance(lambda a: 4 - a, [a], r)
        assert of_a.tolist() == pytest.approx([-24, -4 / 3])
        assert absorbed["bias"] == pytest.approx(8 * 4 + 4 * 4 / 3)

    def test_softmax(self) -> None:
        # R_i = x_i (R_i - s_i Σ R): equation 8.
        x, r = tensors((4,), (4,), seed=4)
        s = x.softmax(0)
        (found,), absorbed = relevance(lambda x: x.softmax(0), [x], r)
        assert found == pytest.approx((x * (r - s * r.sum())).numpy())
        assert found.sum() + absorbed["softmax"] == pytest.approx(float(r.sum()))

    @pytest.mark.parametrize("masked", [-math.inf, torch.finfo(torch.float64).min])
    def test_masked_softmax(self, masked: float) -> None:
        x, r = tensors((3,), (3,), seed=4)
        longer = torch.cat([x, t(0.3)])
        hidden = torch.tensor([False, False, False, True])

        def function(longer: Tensor) -> Tensor:
            return longer.masked_fill(hidden, masked).softmax(0)[:3]

        (found,), absorbed = relevance(function, [longer], r)
        (expected,), _ = relevance(lambda x: x.softmax(0), [x], r)
        assert found[:3] == pytest.approx(expected)
        assert found[3] == 0
        assert found.sum() + sum(absorbed.values()) == pytest.approx(float(r.sum()))

    @pytest.mark.parametrize("kind", ["layer", "rms", "rms-written-out", "layer-written-out"])
    def test_norms_divide_by_a_constant(self, kind: str) -> None:
        x, weight, bias, r = tensors((4,), (4,), (4,), (4,), seed=5)
        eps, centred = 1e-3, "layer" in kind

        def function(x: Tensor) -> Tensor:
            if kind == "layer":
                return F.layer_norm(x, (4,), weight, bias, eps)
            if kind == "rms":
                return F.rms_norm(x, (4,), weight, eps) + bias
            c = x - x.mean() if centred else x
            return weight * (c * torch.rsqrt(c.pow(2).mean(-1, keepdim=True) + eps)) + bias

        (found,), absorbed = relevance(function, [x], r)
        c = x - x.mean() if centred else x
        divisor = torch.sqrt((c**2).mean() + eps)
        z = weight * c / divisor + bias
        # x - mean x is linear: the ε rule with ε = 0.
        g = weight * r / z / divisor
        expected = x * (g - g.mean() if centred else g)
        assert found == pytest.approx(expected.numpy())
        assert absorbed["bias"] == pytest.approx(float((bias * r / z).sum()))
        assert found.sum() + absorbed["bias"] == pytest.approx(float(r.sum()))

    def test_the_largest_takes_all(self) -> None:
        x = t([1, 3, 2], [5, 4, -1])
        for function in (lambda x: x.max(-1).values, lambda x: x.amax(-1), lambda x: x.topk(1)[0]):
            (found,), absorbed = relevance(function, [x])
            assert found.tolist() == [[0, 3, 0], [5, 0, 0]]
            assert absorbed == {}

    def test_constants_beside_parts_of_the_text(self) -> None:
        (x,) = tensors((2, 3))
        sentinel = t([1, 2, 3])
        normed = nn.BatchNorm1d(3).double().eval().requires_grad_(False)
        normed.running_mean += 0.5
        normed.bias += 0.25
        for function in (
            lambda x: torch.cat([sentinel, x]),
            lambda x: torch.stack([x, x * 0 + 1]),
            lambda x: x.masked_fill(torch.tensor([False, True, False]), 7.0),
            lambda x: torch.where(torch.tensor([False, True, False]), x, t(2, 2, 2)),
            normed,
        ):
            (found,), absorbed = relevance(function, [x])
            assert abs(absorbed["bias"]) > 0.1
            total = float(function(x).sum())
            assert found.sum() + sum(absorbed.values()) == pytest.approx(total)

    def test_in_place(self) -> None:
        x, weight, bias = tensors((4,), (4, 4), (4,), seed=6)

        def in_place(x: Tensor) -> Tensor:
            h = F.linear(x, weight, bias)
            h += 0.5
            h = F.relu(h, inplace=True)
            h *= 2
            return h.add_(x)

        def plain(x: Tensor) -> Tensor:
            return (F.linear(x, weight, bias) + 0.5).relu() * 2 + x

        (left,), of_left = relevance(in_place, [x], None, 0.1)
        (right,), of_right = relevance(plain, [x], None, 0.1)
        assert left == pytest.approx(right)
        assert of_left == pytest.approx(of_right)
