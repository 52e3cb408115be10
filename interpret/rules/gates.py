"""Gates: factors that say how much of a signal goes on, and carry none themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction


class _Gate(torch.autograd.Function):
    """The value of one tensor, the gradient of another; and a mark on the graph."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, surrogate: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, grads[0]


def attach_gate(value: Tensor, surrogate: Tensor) -> Tensor:
    """As `attach`, for a gate."""
    return _Gate.apply(value.detach(), surrogate.to(value.dtype))


def made_by_gate(made_by: Any) -> bool:
    """Whether what made a tensor is `attach_gate`."""
    return isinstance(made_by, _Gate._backward_cls)


def is_gate(tensor: Tensor) -> bool:
    """Whether a tensor is a gate: what a function like the sigmoid returned, through any operations
    that are linear in it alone (views, 1 - z, sums over time)."""
    node: Any = tensor.grad_fn
    while node is not None and not isinstance(node, BackwardCFunction):
        before = [one for one, _ in node.next_functions if one is not None]
        if len(before) != 1:
            return False
        (node,) = before
    return made_by_gate(node)
