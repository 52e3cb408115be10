"""Where a model's gradient is not the derivative of what it computes, more steps are no advice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import IntegratedGradients
from tests.zoo.functions import predictor_of

VECTORS = {"a": [0.5, -1.2, 2.0], "b": [1.5, 0.3, -0.7]}
WEIGHTS = torch.tensor([[1.0, -0.4], [0.3, 0.8], [-0.6, 1.1]])


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def _logits(x: Tensor) -> Tensor:
    return torch.tanh(x).sum(1) @ WEIGHTS.to(x)


def _half_detached(x: Tensor) -> Tensor:
    return _logits(torch.cat([x[..., :2], x[..., 2:].detach()], -1))


def _rounded(x: Tensor) -> Tensor:
    return _logits(x + ((x * 8).round() / 8 - 1.5 * x).detach())


def _steep(x: Tensor) -> Tensor:
    """Many steep places, for which few steps are too few."""
    return torch.tanh(40 * torch.sin(9 * x)).sum(1) @ WEIGHTS.to(x)


def _jumps(x: Tensor) -> Tensor:
    """Several jumps, of which none is most of what is lacking."""
    return _logits(x) + 0.2 * (x.sum((1, 2)) * 3).floor().unsqueeze(-1) * torch.ones(2).to(x)


def warnings_of(function: Callable[[Tensor], Tensor], **options: Any) -> str:
    made = predictor_of(function, VECTORS)
    method = IntegratedGradients(made, target="logit", **options)
    (found,) = method.interpret_json({"sentence": "a b"})
    return " ".join(found.warnings)


@pytest.mark.parametrize(
    "function", [_half_detached, _rounded, lambda x: _logits(_Reversed.apply(x))]
)
def test_another_gradient_is_named(function: Any) -> None:
    said = warnings_of(function)
    assert "is not that of what it computes" in said
    assert "leave-one-out" in said
    assert "max_steps" not in said


@pytest.mark.parametrize(
    ("function", "most"),
    [(_logits, 40), (_logits, 1024), (_steep, 40), (_steep, 1024), (_jumps, 1024)],
)
@pytest.mark.parametrize("rule", ["boole", "trapezoid", "midpoint"])
def test_its_own_gradient_is_not(function: Any, most: int, rule: str) -> None:
    said = warnings_of(function, rule=rule, relative_tolerance=1e-4, max_steps=most)
    assert "is not that of what it computes" not in said


def test_a_random_model_is_no_other_gradient() -> None:
    """Its values differ from pass to pass, and its gradient does not."""
    said = warnings_of(lambda x: _logits(x) + 0.1 * torch.randn(len(x), 2).to(x))
    assert "random although" in said
    assert "is not that of what it computes" not in said
