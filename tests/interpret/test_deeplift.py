"""DeepLIFT: every rule against numbers worked out by hand, and the sum on every architecture."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from allennlp.predictors import Predictor
from captum.attr import DeepLift as CaptumDeepLift
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack

from allennlp_saliency.interpret import Baseline, DeepLift, Explanation, InterpretationError
from allennlp_saliency.interpret.propagation.deeplift_rules import (
    Tape,
    recording_rules,
    replaying_rules,
)
from allennlp_saliency.interpret.propagation.mode import RuleMode
from tests.interpret.functions import predictor_of, spread_vectors
from tests.zoo import FAMILIES, Zoo

Function = Callable[..., Tensor]
NAMED = ("bert", "roberta", "distilbert", "gpt2", "t5", "llama")
OTHERS = ("lstm", "cnn", "pair", "bert-mismatched", "bert-tagger", "gemma", "modernbert")
TARGETS = ("log-likelihood", "logit", "probability")
# Their norms or positions compute in float32, whatever the model's type.
CAST_TO_FLOAT32 = ("t5", "llama", "qwen2", "gemma", "modernbert")
# Where the targets themselves hardly differ, the rounding of logits of size 1 to 10 in float32.
FLOOR = 2e-6


@dataclass
class Passes:
    """What the rules make of a function of several tensors.

    Attributes:
        y: The function's values, as the model sees them under the rules.
        change: y minus its values for the references.
        multipliers: For each operand the multipliers of Σ y.
        contributions: For each operand Σ multiplier · change.
        without_rule: Operations that had none.
    """

    y: Tensor
    change: Tensor
    multipliers: list[Tensor]
    contributions: list[float]
    without_rule: set[str]

    @classmethod
    def of(
        cls, function: Function, x: Sequence[Tensor], x_0: Sequence[Tensor], weights: Any = 1.0
    ) -> Passes:
        tape = Tape()
        with RuleMode(recording_rules(tape)):
            y_0 = function(*[operand.clone().requires_grad_() for operand in x_0])
        leaves = [operand.clone().requires_grad_() for operand in x]
        with RuleMode(replaying_rules(tape)) as mode:
            y = function(*leaves)
        tape.close()
        found = torch.autograd.grad((y * weights).sum(), leaves, allow_unused=True)
        m = [torch.zeros_like(at) if g is None else g for g, at in zip(found, x, strict=True)]
        parts = [float(((a - b) * g).sum()) for a, b, g in zip(x, x_0, m, strict=True)]
        return cls(y.detach(), (y - y_0).detach(), m, parts, mode.unruled)


def tensors(*shapes: Sequence[int], seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(tuple(shape), generator=generator, dtype=dtype) for shape in shapes]


def check_complete(function: Function, *shapes: Sequence[int], zero: bool = False) -> Passes:
    """Same values as without rules; contributions that add up, for any weighting of the outputs."""
    x, x_0 = tensors(*shapes, seed=1), tensors(*shapes, seed=2)
    if zero:
        x_0 = [torch.zeros_like(operand) for operand in x_0]
    plain = function(*x)
    weights = torch.randn(plain.shape, generator=torch.Generator().manual_seed(3)).double()
    passes = Passes.of(function, x, x_0, weights)
    assert torch.allclose(passes.y, plain, rtol=0, atol=1e-12)
    expected = float((weights * (plain - function(*x_0))).sum())
    assert abs(expected) > 1e-3, "nothing to add up to"
    assert sum(passes.contributions) == pytest.approx(expected, abs=1e-9)
    return passes


def t(*values: Any, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


ERF = np.vectorize(math.erf)
ELEMENTWISE: dict[str, tuple[Function, Callable[[Any], Any]]] = {
    "relu": (torch.relu, lambda x: np.maximum(x, 0)),
    "gelu": (F.gelu, lambda x: x * (1 + ERF(x / math.sqrt(2))) / 2),
    "gelu-tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "gelu-module": (nn.GELU(), lambda x: x * (1 + ERF(x / math.sqrt(2))) / 2),
    "tanh": (Tensor.tanh, np.tanh),
    "sigmoid": (torch.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "silu": (F.silu, lambda x: x / (1 + np.exp(-x))),
    "softplus": (F.softplus, lambda x: np.log1p(np.exp(x))),
    "elu": (nn.ELU(), lambda x: np.where(x > 0, x, np.expm1(x))),
    "leaky_relu": (nn.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    "exp": (torch.exp, np.exp),
    "abs": (abs, np.abs),
    "cube": (lambda x: x**3, lambda x: x**3),
    "power-of-2": (lambda x: 2**x, lambda x: 2.0**x),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), lambda x: np.clip(x, -0.5, 0.5)),
}


class TestElementwise:
    """m = Δy / Δx, and where the two are the same the derivative."""

    X = (-2.0, -0.4, 0.3, 1.5, 0.8, -1.1)
    X_0 = (1.0, 0.7, -0.9, 0.2, -3.0, -0.2)

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_quotient_of_differences(self, name: str) -> None:
        function, formula = ELEMENTWISE[name]
        x, x_0 = np.array(self.X), np.array(self.X_0)
        (m,) = Passes.of(function, [t(*x)], [t(*x_0)]).multipliers
        assert m.tolist() == pytest.approx((formula(x) - formula(x_0)) / (x - x_0), abs=1e-12)

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_derivative_where_nothing_differs(self, name: str) -> None:
        function, formula = ELEMENTWISE[name]
        x = np.array(self.X)
        (m,) = Passes.of(function, [t(*x)], [t(*x)]).multipliers
        h = 1e-6
        assert m.tolist() == pytest.approx((formula(x + h) - formula(x - h)) / (2 * h), abs=1e-8)

    @pytest.mark.parametrize("name", ELEMENTWISE)
    @pytest.mark.parametrize("distance", [1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
    def test_nearly_the_same(self, name: str, distance: float) -> None:
        function, formula = ELEMENTWISE[name]
        x = np.array(self.X)
        near = torch.tensor(x + distance, dtype=torch.float32)
        (m,) = Passes.of(function, [near], [torch.tensor(x, dtype=torch.float32)]).multipliers
        h, middle = 1e-6, x + distance / 2
        slope = (formula(middle + h) - formula(middle - h)) / (2 * h)
        assert m.tolist() == pytest.approx(slope, abs=3e-3)

    def test_a_root_of_nothing_gets_nothing(self) -> None:
        (m,) = Passes.of(torch.sqrt, [t(0, 4)], [t(0, 1)]).multipliers
        assert m.tolist() == pytest.approx([0, 1 / 3])


class TestProducts:
    def test_two_numbers(self) -> None:
        # 2 · 5 - 1 · 3 = 7 = 4 · (2 - 1) + 1.5 · (5 - 3)
        passes = Passes.of(lambda a, b: a * b, [t(2), t(5)], [t(1), t(3)])
        assert [m.item() for m in passes.multipliers] == [4, 1.5]

    def test_a_square_is_a_product(self) -> None:
        for square in (lambda x: x * x, lambda x: x**2, torch.square):
            (m,) = Passes.of(square, [t(3, -2)], [t(1, 5)]).multipliers
            assert m.tolist() == [4, 3]

    def test_matrices(self) -> None:
        shapes = (3, 4), (4, 5)
        x, x_0 = tensors(*shapes, seed=1), tensors(*shapes, seed=2)
        means = [(a + b) / 2 for a, b in zip(x, x_0, strict=True)]
        ones = torch.ones(3, 5, dtype=torch.float64)
        for product in (
            torch.matmul,
            torch.mm,
            lambda a, b: a @ b,
            lambda a, b: torch.einsum("ij,jk->ik", a, b),
            lambda a, b: torch.bmm(a[None], b[None])[0],
            lambda a, b: F.linear(a, b.T),
            lambda a, b: torch.addmm(ones, a, b),
            lambda a, b: torch.baddbmm(ones[None], a[None], b[None])[0],
        ):
            left, right = Passes.of(product, x, x_0).multipliers
            assert torch.allclose(left, ones @ means[1].T)
            assert torch.allclose(right, means[0].T @ ones)

    def test_one_factor_alone_is_linear(self) -> None:
        (x,), (x_0,) = tensors((3, 4), seed=1), tensors((3, 4), seed=2)
        (weight,) = tensors((4, 5), seed=3)
        ones = torch.ones(3, 5, dtype=torch.float64)
        for product in (
            lambda a: a @ weight,
            lambda a: torch.einsum("ij,jk->ik", a, weight),
            lambda a: torch.addmm(ones, a, weight),
            lambda a: torch.addbmm(ones, a[None], weight[None]),
            lambda a: torch.baddbmm(ones[None], a[None], weight[None])[0],
            lambda a: F.linear(a, weight.T, ones[0]),
        ):
            (m,) = Passes.of(product, [x], [x_0]).multipliers
            assert torch.allclose(m, ones @ weight.T)

    def test_a_quotient(self) -> None:
        # 6 / 2 - 1 / 4 = 2.75: b̄ = 3, ȳ = 1.625
        a, b = Passes.of(lambda a, b: a / b, [t(6), t(2)], [t(1), t(4)]).multipliers
        assert a.item() == pytest.approx(1 / 3)
        assert b.item() == pytest.approx(-1.625 / 3)
        assert a.item() * 5 + b.item() * -2 == pytest.approx(2.75)

    def test_one_over_x(self) -> None:
        for inverse in (lambda x: 1 / x, torch.reciprocal, lambda x: x**-1.0):
            (m,) = Passes.of(inverse, [t(4)], [t(2)]).multipliers
            assert m.item() == pytest.approx(-1 / 8)

    def test_a_product_is_a_quotient_where_one_factor_is(self) -> None:
        # x / √v and x · 1/√v are the same function, and get the same multipliers.
        shapes = (3, 4), (3, 4)
        x, x_0 = tensors(*shapes, seed=1), tensors(*shapes, seed=2)
        divided = Passes.of(lambda a, b: a / (b**2 + 1).sqrt(), x, x_0)
        for written in (
            lambda a, b: a * torch.rsqrt(b**2 + 1),
            lambda a, b: torch.rsqrt(b**2 + 1) * a,
            lambda a, b: a * (b**2 + 1) ** -0.5,
        ):
            passes = Passes.of(written, x, x_0)
            for ours, theirs in zip(passes.multipliers, divided.multipliers, strict=True):
                assert torch.allclose(ours, theirs)


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


OPERATIONS: dict[str, tuple[Function, list[tuple[int, ...]]]] = {
    "rdiv": (lambda x: 2 / (1 + x.abs()), [(3, 4)]),
    "rsub": (lambda x: (1 - x) ** 2, [(3, 4)]),
    "rpow": (lambda x: 3**x, [(3, 4)]),
    "rmatmul": (lambda x: torch.ones(2, 3).double() @ x.tanh(), [(3, 4)]),
    "gelu-by-erf": (lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))), [(3, 4)]),
    "gated": (lambda x: F.silu(x[..., :2]) * x[..., 2:], [(3, 4)]),
    "glu": (F.glu, [(3, 4)]),
    "geglu": (lambda x, y: F.gelu(x, approximate="tanh") * y, [(3, 4), (3, 4)]),
    "three-factors": (lambda x, y, z: x * y * z, [(3, 4)] * 3),
    "broadcast": (lambda x, y: x * y, [(3, 4), (4,)]),
    "addcmul": (lambda x, y, z: torch.addcmul(x, y, z, value=0.5), [(3, 4)] * 3),
    "addmm": (
        lambda x, y, z: torch.addmm(x, y, z, beta=0.5, alpha=2),
        [(3, 5), (3, 4), (4, 5)],
    ),
    "addbmm": (lambda x, y, z: torch.addbmm(x, y, z), [(3, 5), (2, 3, 4), (2, 4, 5)]),
    "baddbmm": (
        lambda x, y, z: torch.baddbmm(x, y, z, beta=0.5, alpha=2),
        [(2, 3, 5), (2, 3, 4), (2, 4, 5)],
    ),
    "linear-of-three": (F.linear, [(3, 4), (5, 4), (5,)]),
    "bilinear": (
        lambda x, y: F.bilinear(x, y, torch.ones(2, 4, 5).double(), torch.ones(2).double()),
        [(3, 4), (3, 5)],
    ),
    "einsum-of-a-list": (lambda x, y: torch.einsum("bi,bj->bij", [x, y]), [(3, 4), (3, 5)]),
    "log-sum-exp-over-two": (lambda x: x.logsumexp((0, 2)), [(2, 3, 4)]),
    "norm": (lambda x: x.norm(dim=-1), [(3, 4)]),
    "norm-1": (lambda x: torch.norm(x, 1, -1), [(3, 4)]),
    "vector-norm": (lambda x: torch.linalg.vector_norm(x, dim=0), [(3, 4)]),
    "linalg-norm": (lambda x: torch.linalg.norm(x, dim=-1, keepdim=True), [(3, 4)]),
    "frobenius": (torch.linalg.norm, [(3, 4)]),
    "normalize": (lambda x: F.normalize(x, dim=-1), [(3, 4)]),
    "cosine": (lambda x, y: F.cosine_similarity(x, y, dim=-1), [(3, 4), (3, 4)]),
    "var": (lambda x: x.var(-1), [(3, 4)]),
    "var-of-all": (lambda x: x.var(unbiased=False), [(3, 4)]),
    "var-biased": (lambda x: x.var(False), [(3, 4)]),
    "std": (lambda x: torch.std(x, -1, unbiased=False, keepdim=True), [(3, 4)]),
    "std-correction": (lambda x: torch.std(x, dim=0, correction=0), [(3, 4)]),
    "max-pool": (lambda x: F.max_pool1d(x, 3, stride=2, padding=1), [(2, 3, 9)]),
    "max-pool-module": (nn.MaxPool1d(2), [(2, 3, 8)]),
    "cross-entropy": (
        lambda x: F.cross_entropy(x, torch.tensor([0, 3, 1]), reduction="none"),
        [(3, 4)],
    ),
    "cross-entropy-module": (
        lambda x: nn.CrossEntropyLoss(ignore_index=3)(x, torch.tensor([0, 3, 1])),
        [(3, 4)],
    ),
    "views": (
        lambda x: torch.stack([part.tanh() for part in x.chunk(2, -1)]).flatten().cumsum(0),
        [(3, 4)],
    ),
    "convolution": (
        lambda x: F.conv1d(x, torch.ones(2, 3, 2).double(), padding=1).relu(),
        [(2, 3, 5)],
    ),
    "residual": (lambda x: x + torch.tanh(x + F.gelu(x)), [(3, 4)]),
    "other-widths": (lambda x: (x.float().double() * 2).tanh(), [(3, 4)]),
}


class TestOperations:
    @pytest.mark.parametrize("name", OPERATIONS)
    def test_same_values_and_sums(self, name: str) -> None:
        function, shapes = OPERATIONS[name]
        x = tensors(*shapes, seed=1)
        if name == "other-widths":
            # float32 in the middle: only so far do the sums go.
            passes = Passes.of(function, x, tensors(*shapes, seed=2))
            total = float(passes.change.sum())
            assert sum(passes.contributions) == pytest.approx(total, abs=1e-5)
            return
        assert check_complete(function, *shapes).without_rule == set()

    @pytest.mark.parametrize("name", ["norm", "normalize", "var", "softmax", "gated", "addmm"])
    def test_from_zero(self, name: str) -> None:
        more = {"softmax": (lambda x: (x @ x.mT).softmax(-1) @ x, [(3, 4)])}
        function, shapes = (OPERATIONS | more)[name]
        check_complete(function, *shapes, zero=True)

    def test_the_same_module_twice(self) -> None:
        module = nn.Sequential(nn.Linear(4, 4), nn.GELU()).double().requires_grad_(False)
        check_complete(lambda x: module(module(x) - 0.1), (3, 4))

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: x.cumprod(-1),
            lambda x: x.prod(-1),
            lambda x: x.topk(2).values,
            lambda x: x.sort().values,
        ],
    )
    def test_an_operation_without_a_rule_is_named(self, function: Function) -> None:
        (x, x_0) = tensors((3, 4), (3, 4), seed=1)
        passes = Passes.of(function, [x], [x_0])
        (name,) = passes.without_rule
        assert name in ("cumprod", "prod", "topk", "sort")
        leaf = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(function(leaf).sum(), leaf)
        assert torch.allclose(passes.multipliers[0], g)

    @pytest.mark.parametrize(
        ("function", "named"),
        [
            (lambda x: torch.einsum("ij,jk,kl->il", x, x.T, x), "more than two"),
            (lambda x: x.abs() ** x, "two operands"),
            (lambda x: torch.linalg.norm(x, 2), "order 2"),
            (lambda x: x.norm(3), "order 3"),
            (lambda x: x.amax((0, 1)), "several dimensions"),
        ],
    )
    def test_what_has_no_rule_at_all_says_so(self, function: Function, named: str) -> None:
        (x, x_0) = tensors((4, 4), (4, 4), seed=1)
        with pytest.raises(NotImplementedError, match=named):
            Passes.of(function, [x], [x_0])


def inplace_relu(x: Tensor) -> Tensor:
    h = x * 1
    F.relu(h, inplace=True)
    return h


def plus(x: Tensor) -> Tensor:
    h = torch.tanh(x)
    h += x
    h.sub_(x**2)
    return h


def times(x: Tensor) -> Tensor:
    h = torch.sigmoid(x)
    h *= x
    h /= 1 + x.abs()
    return h


def power_of_a_view(x: Tensor) -> Tensor:
    h = x.tanh()
    h[:, 1:] *= h[:, :1]
    h[:, 0].exp_()
    return h


class TestInPlace:
    @pytest.mark.parametrize(
        "function",
        [
            inplace_relu,
            plus,
            times,
            power_of_a_view,
            lambda x: nn.ReLU(inplace=True)(x * 2),
            lambda x: nn.LeakyReLU(0.1, True)(x * 2),
            lambda x: nn.Hardtanh(inplace=True)(x * 2),
            lambda x: nn.ELU(inplace=True)(x * 2),
            lambda x: torch.relu_(x * 2) ** 2,
            lambda x: (x * 2).tanh_().add_(x).mul_(x).masked_fill_(x.detach() * 0 > 1, 7),
            lambda x: F.dropout(x * x, 0.5, False, True),
        ],
    )
    def test_complete(self, function: Function) -> None:
        check_complete(function, (3, 4))

    def test_the_tensor_itself_changes(self) -> None:
        seen: list[Tensor] = []

        def function(x: Tensor) -> Tensor:
            h = x * 1
            same = nn.ReLU(inplace=True)(h)
            seen.append(h)
            assert same is h
            return same

        Passes.of(function, [t(-1, 2)], [t(1, -2)])
        assert [h.tolist() for h in seen] == [[1, 0], [0, 2]]


def plain_attention(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> Tensor:
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~allowed, -math.inf)
    return scores.softmax(-1) @ v


class TestAttention:
    SHAPES = ((2, 4, 5, 6), (2, 4, 5, 6), (2, 4, 5, 3))

    @pytest.mark.parametrize("masked", ["not", "booleans", "numbers", "causal", "scale"])
    def test_fused(self, masked: str) -> None:
        allowed = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(1)) > 0.3
        allowed[..., 0] = True
        numbers = torch.zeros(2, 1, 5, 5).double().masked_fill(~allowed, -math.inf)
        options: dict[str, Any] = {
            "not": {},
            "booleans": {"attn_mask": allowed},
            "numbers": {"attn_mask": numbers},
            "causal": {"is_causal": True},
            "scale": {"scale": 0.3},
        }[masked]
        check_complete(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options), *self.SHAPES
        )

    def test_a_query_that_may_look_at_nothing(self) -> None:
        allowed = torch.ones(5, 5).bool()
        allowed[2] = False
        check_complete(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=allowed),
            *self.SHAPES,
        )

    def test_grouped_queries(self) -> None:
        check_complete(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
            (2, 4, 5, 6),
            (2, 2, 5, 6),
            (2, 2, 5, 6),
        )

    def test_fused_or_written_out(self) -> None:
        allowed = torch.ones(5, 5).bool().tril()
        x, x_0 = tensors(*self.SHAPES, seed=1), tensors(*self.SHAPES, seed=2)
        fused = Passes.of(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, allowed), x, x_0)
        plain = Passes.of(lambda q, k, v: plain_attention(q, k, v, allowed), x, x_0)
        assert all(map(torch.allclose, fused.multipliers, plain.multipliers))

    @pytest.mark.parametrize("kind", ["self", "cross", "other-sizes", "no-bias"])
    @pytest.mark.parametrize("masked", ["not", "padding", "causal", "both", "per-head"])
    def test_multi_head(self, kind: str, masked: str) -> None:
        sizes = {"kdim": 6, "vdim": 4} if kind == "other-sizes" else {}
        layer = nn.MultiheadAttention(8, 2, batch_first=True, bias=kind != "no-bias", **sizes)
        layer = layer.double().eval().requires_grad_(False)
        padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
        causal = nn.Transformer.generate_square_subsequent_mask(5).double()
        heads = (torch.rand(4, 5, 5, generator=torch.Generator().manual_seed(2)) > 0.8) & (
            torch.ones(5, 5).tril(-1) > 0
        )
        options: dict[str, Any] = {
            "not": {},
            "padding": {"key_padding_mask": padding},
            "causal": {"attn_mask": causal, "is_causal": True},
            "both": {"attn_mask": causal < 0, "key_padding_mask": padding},
            "per-head": {"attn_mask": heads},
        }[masked]
        for weights in ({"need_weights": False}, {}, {"average_attn_weights": False}):
            options |= weights

            def function(q: Tensor, *kv: Tensor, options: Any = options) -> Tensor:
                out, attended = layer(q, *(kv or (q, q)), **options)
                return out if attended is None else torch.cat([out.flatten(), attended.flatten()])

            shapes = {
                "self": [(2, 5, 8)],
                "no-bias": [(2, 5, 8)],
                "cross": [(2, 5, 8)] * 3,
                "other-sizes": [(2, 5, 8), (2, 5, 6), (2, 5, 4)],
            }[kind]
            check_complete(function, *shapes)

    @pytest.mark.parametrize("norm_first", [True, False])
    def test_transformer_encoder(self, norm_first: bool) -> None:
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
        encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        encoder = encoder.double().eval().requires_grad_(False)
        padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
        check_complete(lambda x: encoder(x, src_key_padding_mask=padding)[:, 0], (2, 5, 8))

    def test_transformer_decoder(self) -> None:
        layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        layer = layer.double().eval().requires_grad_(False)
        check_complete(layer, (2, 3, 8), (2, 4, 8))


class TestRecurrent:
    @pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN-tanh", "RNN-relu"])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"bidirectional": True},
            {"num_layers": 2, "bidirectional": True, "batch_first": True},
            {"num_layers": 2, "bias": False},
        ],
    )
    @pytest.mark.parametrize("packed", [True, False])
    def test_as_torch_computes_it(self, kind: str, options: dict[str, Any], packed: bool) -> None:
        torch.manual_seed(0)
        name, _, nonlinearity = kind.partition("-")
        more = {"nonlinearity": nonlinearity} if nonlinearity else {}
        layer = getattr(nn, name)(3, 4, **options, **more).double().requires_grad_(False)
        first = bool(options.get("batch_first"))

        def function(x: Tensor) -> Tensor:
            given: Any = x
            if packed:
                given = nn.utils.rnn.pack_padded_sequence(
                    x, torch.tensor([2, 5, 4]), batch_first=first, enforce_sorted=False
                )
            out, states = layer(given)
            if packed:
                out, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=first)
            states = states if isinstance(states, tuple) else (states,)
            return torch.cat([part.flatten() for part in (out, *states)])

        check_complete(function, (3, 5, 3) if first else (5, 3, 3))

    def test_own_initial_states(self) -> None:
        layer = nn.LSTM(3, 4).double().requires_grad_(False)
        check_complete(lambda x, h, c: layer(x, (h, c))[0], (5, 2, 3), (1, 2, 4), (1, 2, 4))

    @pytest.mark.parametrize("bias", [True, False])
    def test_cells(self, bias: bool) -> None:
        lstm = nn.LSTMCell(3, 4, bias=bias).double().requires_grad_(False)
        gru = nn.GRUCell(3, 4, bias=bias).double().requires_grad_(False)
        check_complete(lambda x, h, c: torch.cat(lstm(x, (h, c))), (2, 3), (2, 4), (2, 4))
        check_complete(gru, (2, 3), (2, 4))

    def test_projected_states_are_refused(self) -> None:
        layer = nn.LSTM(3, 4, proj_size=2).double().requires_grad_(False)
        (x,) = tensors((5, 2, 3), seed=1)
        with pytest.raises(NotImplementedError, match="proj_size"):
            Passes.of(lambda x: layer(x)[0], [x], [x])


def stack_of_modes() -> int:
    return len(_get_current_function_mode_stack())


class TestNothingIsLeftBehind:
    def test_after_success_and_failure(self) -> None:
        (x,) = tensors((3, 4), seed=1)
        Passes.of(torch.tanh, [x], [x])
        assert stack_of_modes() == 0

        class Broken(Exception):
            pass

        def broken(x: Tensor) -> Tensor:
            F.scaled_dot_product_attention(x, x, x)
            raise Broken

        with pytest.raises(Broken):
            Passes.of(broken, [x], [x])
        with pytest.raises(NotImplementedError):
            Passes.of(lambda x: F.cross_entropy(x, x.detach().softmax(-1)), [x], [x])
        assert stack_of_modes() == 0

    def test_other_threads_compute_as_ever(self) -> None:
        """While one thread is in the middle of a pass, another gets autograd's own numbers."""
        inside, done = threading.Event(), threading.Event()
        found: dict[str, Any] = {}

        def other() -> None:
            inside.wait(10)
            leaf = t(3.0, -2.0).requires_grad_()
            (found["g"],) = torch.autograd.grad((leaf * leaf).tanh().sum(), leaf)
            found["modes"] = stack_of_modes()
            done.set()

        thread = threading.Thread(target=other)
        thread.start()

        def function(x: Tensor) -> Tensor:
            y = (x * x).tanh()
            inside.set()
            assert done.wait(10)
            return y

        (m,) = Passes.of(function, [t(3.0, -2.0)], [t(1.0, 1.0)]).multipliers
        thread.join()
        x = np.array([3.0, -2.0])
        assert found["g"].tolist() == pytest.approx(2 * x / np.cosh(x**2) ** 2)
        assert found["modes"] == 0
        assert m.tolist() == pytest.approx((np.tanh(x**2) - np.tanh(1)) / (x - 1))


def explained(explanations: Sequence[Sequence[Explanation]]) -> Iterator[Explanation]:
    for several in explanations:
        yield from several


def check_sums(explanation: Explanation, relative: float, floor: float) -> None:
    total = sum(sum(one.attributions) + one.unassigned for one in explanation.inputs)
    change = explanation.target["value"] - explanation.target["baseline_value"]
    delta = explanation.convergence_delta
    assert delta is not None
    assert total + delta == pytest.approx(change, abs=1e-9)
    assert abs(delta) <= relative * abs(change) + floor
    assert "without_rule" not in explanation.details


def families() -> list[Any]:
    rest = [name for name in FAMILIES if name not in (*NAMED, *OTHERS)]
    slow = [pytest.param(name, marks=pytest.mark.slow) for name in rest]
    return [*NAMED, *OTHERS, *slow]


class TestEveryArchitecture:
    @pytest.mark.parametrize("family", families())
    @pytest.mark.parametrize("target", TARGETS)
    def test_complete(self, zoo: Zoo, family: str, target: str) -> None:
        interpreter = DeepLift(zoo.predictor(family), target=target)
        found = list(explained(interpreter.interpret_batch_json(zoo.inputs(family)[:3])))
        assert found
        for explanation in found:
            check_sums(explanation, 1e-4, FLOOR)

    @pytest.mark.parametrize("family", families())
    def test_complete_to_the_last_digit_in_float64(self, zoo: Zoo, family: str) -> None:
        if family == "cnn":
            pytest.skip("AllenNLP's CnnEncoder masks with -inf · 0 in float64")
        predictor = zoo.build(family)
        predictor._model.double()
        interpreter = DeepLift(predictor, target="logit")
        found = list(explained(interpreter.interpret_batch_json(zoo.inputs(family)[:3])))
        assert found
        for explanation in found:
            if family in CAST_TO_FLOAT32:
                check_sums(explanation, 1e-6, FLOOR)
            else:
                check_sums(explanation, 1e-12, 1e-13)

    @pytest.mark.parametrize("baseline", ["mask", "mean", {"type": "token", "token": "the"}])
    def test_other_baselines(self, zoo: Zoo, baseline: Any) -> None:
        interpreter = DeepLift(zoo.predictor("bert"), baseline=baseline)
        for explanation in explained(interpreter.interpret_batch_json(zoo.inputs("bert"))):
            check_sums(explanation, 1e-4, FLOOR)

    def test_against_itself_is_nothing(self, zoo: Zoo) -> None:
        text = "a great film"
        interpreter = DeepLift(zoo.predictor("bert"), baseline={"type": "text", "text": text})
        (explanation,) = interpreter.interpret_json({"sentence": text})
        assert explanation.inputs[0].attributions == [0.0] * len(explanation.inputs[0].tokens)


WORDS = ("up", "down", "left", "right")


class Multilayer(nn.Module):
    """A perceptron of words side by side, nonlinearities as modules as captum needs them."""

    def __init__(self, nonlinearity: type[nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = nn.Linear(9, 7), nn.Linear(7, 5)
        self.head = nn.Linear(5, 2)
        self.one, self.two = nonlinearity(), nonlinearity()

    def forward(self, embeddings: Tensor) -> Tensor:
        h = self.one(self.first(embeddings.flatten(1)))
        return self.head(self.two(self.second(h)))


class Convolution(nn.Module):
    """A convolution over words, the largest of all windows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.windows = nn.Conv1d(3, 6, 2, bias=False)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool1d(2)
        self.head = nn.Linear(6, 2)

    def forward(self, embeddings: Tensor) -> Tensor:
        windows = self.act(self.windows(embeddings.transpose(1, 2)))
        return self.head(self.pool(windows).flatten(1))


class TestAsCaptumHasIt:
    TEXTS = ("up left down", "right up right", "down right left")

    @pytest.mark.parametrize("nonlinearity", [nn.ReLU, nn.Tanh, nn.Sigmoid])
    def test_perceptron(self, nonlinearity: type[nn.Module]) -> None:
        self.check(Multilayer(nonlinearity).eval(), "left up right")

    def test_convolution(self) -> None:
        # From zero no window falls: captum loses what comes of a fall of the largest, for which
        # it would have to look at the baseline's half of its batch.
        self.check(Convolution().eval(), None)

    def check(self, network: nn.Module, baseline: str | None) -> None:
        vectors = spread_vectors(WORDS, 3)
        interpreter = DeepLift(
            predictor_of(network, vectors),
            target={"type": "logit", "label": "yes"},
            baseline="zero" if baseline is None else {"type": "text", "text": baseline},
        )
        strongest = 0.0
        for text in self.TEXTS:
            x = torch.tensor([[vectors[word] for word in text.split()]])
            x_0 = torch.zeros_like(x)
            if baseline is not None:
                x_0 = torch.tensor([[vectors[word] for word in baseline.split()]])
            theirs = CaptumDeepLift(network).attribute(x, x_0, target=1).sum(-1)[0].tolist()
            strongest = max(strongest, *map(abs, theirs))
            (explanation,) = interpreter.interpret_json({"sentence": text})
            assert explanation.inputs[0].attributions == pytest.approx(theirs, abs=1e-5)
        assert strongest > 0.01, "the model hardly reacts: nothing would be compared"


class TestModelsOfOnesOwn:
    def test_without_rule(self) -> None:
        predictor = predictor_of(
            lambda x: torch.stack([x.tanh().prod(1).sum(-1), x.sum((1, 2))], 1),
            spread_vectors(WORDS, 3),
        )
        (explanation,) = DeepLift(predictor).interpret_json({"sentence": "up down"})
        assert explanation.details["without_rule"] == ["prod"]

    def test_another_path_for_the_input(self) -> None:
        def steps(x: Tensor) -> Tensor:
            h = x.sum(1)
            for _ in range(1 + int(x.abs().sum() > 0)):
                h = h.tanh()
            return h

        def last_step(x: Tensor) -> Tensor:
            h = x.sum(1)
            return h.tanh() if x.abs().sum() == 0 else h

        for function in (steps, last_step):
            predictor = predictor_of(function, spread_vectors(WORDS, 2))
            interpreter = DeepLift(predictor, target="logit")
            with pytest.raises(InterpretationError, match="depends on the embeddings"):
                interpreter.interpret_json({"sentence": "up down"})
            assert stack_of_modes() == 0

    def test_what_has_no_rule_is_an_error_that_helps(self) -> None:
        for function in (
            lambda x: torch.stack([x.norm(3, dim=(1, 2)), x.sum((1, 2))], 1),
            lambda x: x.sum(1).abs() ** x.sum(1),
        ):
            predictor = predictor_of(function, spread_vectors(WORDS, 2))
            with pytest.raises(InterpretationError, match="no rule"):
                DeepLift(predictor).interpret_json({"sentence": "up down"})

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_a_loss_that_cannot_be_taken_apart(self, reduction: str) -> None:
        """Rows in one batch have baseline values of their own."""

        def focal(logits: Tensor, label: Tensor) -> Tensor:
            log_p = logits.log_softmax(-1).gather(1, label[:, None])
            return getattr(-((1 - log_p.exp()) ** 2) * log_p, reduction)()

        class Half(Baseline):
            """Of each text another."""

            def vectors(self, space: Any, call: Any, part: Tensor) -> Tensor:
                return part / 2

        predictor = predictor_of(lambda x: x.tanh().sum(1), spread_vectors(WORDS, 2), losses=focal)
        texts = [{"sentence": text} for text in ("up down", "left right", "down left")]
        interpreter = DeepLift(predictor, baseline=Half())
        together = interpreter.interpret_batch_json(texts)
        values = {one.target["baseline_value"] for (one,) in together}
        assert len(values) == len(texts)
        for given, (explanation,) in zip(texts, together, strict=True):
            (alone,) = interpreter.interpret_json(given)
            for one in (explanation, alone):
                check_sums(one, 1e-4, FLOOR)
            assert explanation.inputs[0].attributions == pytest.approx(
                alone.inputs[0].attributions, abs=1e-6
            )

    def test_a_small_budget_changes_nothing(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("gpt2")
        same = [{"sentence": text} for text in ("a great film", "a bad actor", "the good plot")]
        whole = explained(DeepLift(predictor).interpret_batch_json(same))
        rows = explained(DeepLift(predictor, token_budget=1).interpret_batch_json(same))
        for left, right in zip(whole, rows, strict=True):
            assert left.inputs[0].attributions == pytest.approx(
                right.inputs[0].attributions, abs=1e-5
            )


def test_the_users_predictor_may_train(zoo: Zoo) -> None:
    """Parameters that need a gradient are no operands: the twin's are frozen."""
    predictor: Predictor = zoo.build("bert", frozen=False)
    assert all(parameter.requires_grad for parameter in predictor._model.parameters())
    (explanation,) = DeepLift(predictor).interpret_json({"sentence": "a great film"})
    check_sums(explanation, 1e-4, FLOOR)
