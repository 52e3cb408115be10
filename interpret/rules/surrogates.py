"""Tensors with the value of an operation and the gradient of a rule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction


class _Attach(torch.autograd.Function):
    """The value of one tensor, the gradient of another."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, surrogate: Tensor) -> Tensor:
        # A copy: the model may work in place on what it is given.
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, grads[0]


class _Gate(_Attach):
    """The same, with a mark on the graph."""


def attach(value: Tensor, surrogate: Tensor) -> Tensor:
    """A tensor with the value of one and the gradient of another of the same shape.

    Args:
        value: What the operation returns.
        surrogate: A function, linear in the operands, whose coefficients are the multipliers.
    """
    return _Attach.apply(value.detach(), surrogate.to(value.dtype))


def attach_gate(value: Tensor, surrogate: Tensor) -> Tensor:
    """As `attach`, for a gate: a factor that says how much of a signal goes on, and carries none
    itself."""
    return _Gate.apply(value.detach(), surrogate.to(value.dtype))


def attached(made_by: Any) -> bool:
    """Whether what made a tensor is `attach` or `attach_gate`."""
    return isinstance(made_by, (_Attach._backward_cls, _Gate._backward_cls))


def is_gate(tensor: Tensor) -> bool:
    """Whether a tensor is a gate: what a function like the sigmoid returned, through any operations
    that are linear in it alone (views, 1 - z, sums over time)."""
    node: Any = tensor.grad_fn
    while node is not None and not isinstance(node, BackwardCFunction):
        before = [one for one, _ in node.next_functions if one is not None]
        if len(before) != 1:
            return False
        (node,) = before
    return isinstance(node, _Gate._backward_cls)
