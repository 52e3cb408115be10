"""The rules of DeepLIFT on functions of tensors, as tests look at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret.rules.deeplift.passes import recording, replaying
from allennlp_saliency.interpret.rules.watch import Tape

Function = Callable[..., Tensor]


@dataclass
class Passes:
    """What the rules make of a function of several tensors.

    Attributes:
        y: The function's values, as the model sees them under the rules.
        change: y minus its values for the references.
        multipliers: For each operand the multipliers of Σ y.
        contributions: For each operand Σ multiplier · change.
        unsupported_ops: Operations that had none.
    """

    y: Tensor
    change: Tensor
    multipliers: list[Tensor]
    contributions: list[float]
    unsupported_ops: set[str]

    @classmethod
    def of(
        cls, function: Function, x: Sequence[Tensor], x_0: Sequence[Tensor], weights: Any = 1.0
    ) -> Passes:
        tape = Tape()
        with recording(tape):
            y_0 = function(*[operand.clone().requires_grad_() for operand in x_0])
        leaves = [operand.clone().requires_grad_() for operand in x]
        with replaying(tape) as mode:
            y = function(*leaves)
        tape.close()
        found = torch.autograd.grad((y * weights).sum(), leaves, allow_unused=True)
        m = [torch.zeros_like(at) if g is None else g for g, at in zip(found, x, strict=True)]
        parts = [float(((a - b) * g).sum()) for a, b, g in zip(x, x_0, m, strict=True)]
        return cls(y.detach(), (y - y_0).detach(), m, parts, mode.unsupported_ops)


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
