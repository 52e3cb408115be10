"""Tensors with the value of an operation and the gradient of a rule; results that a model computes
without a graph, with one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from ..nested import mapped


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


class Hidden:
    """Results of operations on the embeddings that ran without gradients, and the same results
    with a graph.

    A function of `torch.autograd.Function` computes without gradients and has a backward pass of
    its own, which knows no rule. Its operations are seen one by one, though: each is computed with
    a graph, the function is given the result without, and when the result is used again the one
    with the graph takes its place. So the rules go through such a function as through any code.

    Attributes:
        unknown: Names of such functions of whose inside nothing was seen.
    """

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self._graphs: dict[int, tuple[Tensor, Tensor]] = {}
        self._outside: dict[int, Tensor] = {}
        self._places: dict[tuple[int, torch.Size], Tensor] = {}

    def hide(self, result: Any) -> Any:
        """A result as it is without gradients; how it came about is remembered."""
        return mapped(result, self._hidden)

    def _hidden(self, value: Tensor) -> Tensor:
        if not value.requires_grad:
            return value
        if id(value) in self._outside:
            # Changed in place.
            return self._outside[id(value)]
        outside = value.detach()
        # Both are kept: neither the identity nor the place of one is given to another tensor.
        self._graphs[id(outside)] = outside, value
        self._outside[id(value)] = outside
        self._places[value.data_ptr(), value.shape] = value
        return outside

    def revealed(self, value: Any) -> Any:
        """Arguments, with those that were hidden as they are with their graph."""
        return mapped(value, self._revealed)

    def _revealed(self, value: Tensor) -> Tensor:
        if id(value) in self._graphs:
            return self._graphs[id(value)][1]
        made_by = value.grad_fn
        if isinstance(made_by, BackwardCFunction) and not attached(made_by):
            # What a function of its own returns is another object in the same place.
            inside = self._places.get((value.data_ptr(), value.shape))
            if inside is not None:
                return inside
            self.unknown.add(type(made_by).__name__.removesuffix("Backward"))
        return value
