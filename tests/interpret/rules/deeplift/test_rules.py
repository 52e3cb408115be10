"""DeepLIFT: the rules of elementwise operations and products against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.interpret.rules.deeplift.passes import Function, Passes, t, tensors

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

    @pytest.mark.parametrize(
        ("dtype", "distance", "expected"),
        [
            (torch.float32, 5e-3, 0.75),
            (torch.float32, 2e-4, 0.75),
            (torch.float32, 5e-5, 1.0),
            (torch.float64, 2e-6, 0.75),
            (torch.float64, 5e-7, 1.0),
        ],
    )
    def test_from_which_distance_on_the_quotient_counts(
        self, dtype: torch.dtype, distance: float, expected: float
    ) -> None:
        """A kink at a quarter of the way: the quotient is 3/4, the slope in the middle is 1."""
        x, x_0 = t(1.0, dtype=dtype), t(1.0 - distance, dtype=dtype)
        kink = 1.0 - 0.75 * distance
        (m,) = Passes.of(lambda x: x.clamp(min=kink), [x], [x_0]).multipliers
        # x' is rounded to 6e-8 in single precision, 3e-4 of the smaller distance.
        assert m.tolist() == pytest.approx([expected], abs=1e-3)

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
