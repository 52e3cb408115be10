"""Functions with a backward pass of their own: rules go through them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from allennlp_saliency.interpret.rules.lrp_rules import LRP_RULES, LrpPass
from allennlp_saliency.interpret.rules.rule_mode import RuleMode
from tests.interpret.rules.deeplift.passes import Passes, tensors


class Gated(torch.autograd.Function):
    """tanh(a) b, with a gradient that nobody should use."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return a.tanh() * b

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient * 100, gradient * 100


class Outside(torch.autograd.Function):
    """2 x, computed where no rule sees it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.from_numpy(2 * x.detach().numpy())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


def inside(a: Tensor, b: Tensor) -> Tensor:
    return Gated.apply(F.linear(a, torch.eye(4).double()), b) * 1.5


def in_place(a: Tensor, b: Tensor) -> Tensor:
    y = Gated.apply(a, b)
    y += a
    return y.view(-1) * 1.5


def written_out(a: Tensor, b: Tensor) -> Tensor:
    return a.tanh() * b * 1.5


def test_deeplift_has_the_multipliers_of_the_operations() -> None:
    x, x_0 = tensors((3, 4), (3, 4), seed=1), tensors((3, 4), (3, 4), seed=2)
    found, expected = (Passes.of(one, x, x_0) for one in (inside, written_out))
    for ours, theirs in zip(found.multipliers, expected.multipliers, strict=True):
        assert torch.allclose(ours, theirs)
    assert found.unsupported_ops == set()
    assert torch.allclose(found.y, written_out(*x))


def test_changed_in_place() -> None:
    x, x_0 = tensors((3, 4), (3, 4), seed=1), tensors((3, 4), (3, 4), seed=2)
    passes = Passes.of(in_place, x, x_0)
    assert sum(passes.contributions) == pytest.approx(float(passes.change.sum()), abs=1e-12)


def test_relevance_goes_through() -> None:
    a, b = tensors((3, 4), (3, 4), seed=1)
    leaves = [one.clone().requires_grad_() for one in (a, b)]
    with RuleMode(LRP_RULES.bound(LrpPass())):
        y = inside(*leaves)
    found = torch.autograd.grad(y.sum(), leaves)
    for x, g in zip((a, b), found, strict=True):
        # tanh hands on all, each factor has half.
        assert torch.allclose(x * g, y.detach() / 2)


def test_what_nobody_sees_is_named() -> None:
    x, x_0 = tensors((3, 4), (3, 4), seed=1)
    assert Passes.of(lambda x: Outside.apply(x) + 1, [x], [x_0]).unsupported_ops == {"Outside"}
