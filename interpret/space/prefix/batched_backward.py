"""Forward passes whose backward pass is run for many gradients at once, and is worth its while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...operations.calls import CallMode
from ...operations.decompositions import attention
from ..packing import out_of_memory

_WORTH_LEAVING_OUT = 0.9


@contextmanager
def batched_backward() -> Iterator[None]:
    """A forward pass whose backward pass can be run for many gradients at once.

    The fused kernels for attention have no such backward pass, so attention is computed step by
    step. Products with weights leave out, on their way back, the positions that no gradient
    reaches: those after a target, and those beside it behind the last attention.
    """
    with _BatchedBackward():
        yield


def vjps(states: Tensor, leaves: Sequence[Tensor], directions: Tensor) -> list[Tensor]:
    """directionᵀ · ∂ states / ∂ leaf for several directions.

    Args:
        states: A result of a `batched_backward` pass, whose graph is kept.
        leaves: Leaves of the graph.
        directions: `(directions, *states.shape)`.

    Returns:
        Per leaf `(directions, *leaf.shape)`.
    """
    grad = partial(
        torch.autograd.grad, states, list(leaves), retain_graph=True, materialize_grads=True
    )
    if len(directions) == 1:
        return [one.unsqueeze(0) for one in grad(directions[0])]
    try:
        # Not `is_grads_batched`, in which no function of one's own takes part.
        return list(torch.vmap(grad)(directions))
    except RuntimeError as error:
        if out_of_memory(error):
            raise
    # An operation that cannot be differentiated for many gradients at once.
    return [torch.stack(column) for column in zip(*map(grad, directions), strict=True)]


class _BatchedBackward(CallMode):
    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        return _INSTEAD.get(func, func)(*args, **kwargs)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if not _spares(input, weight, bias):
        return F.linear(input, weight, bias)
    return _Product.apply(input, weight.t(), bias)


def _addmm(input: Tensor, mat1: Tensor, mat2: Tensor, **factors: Any) -> Tensor:
    if factors or not _spares(mat1, mat2, input) or input.dim() != 1:
        return torch.addmm(input, mat1, mat2, **factors)
    return _Product.apply(mat1, mat2, input)


def _spares(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    # Reading the number of positions would synchronise with the GPU.
    on_cpu = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    # Others (quantised, sharded) have products of their own.
    plain = type(weight) in (Tensor, torch.nn.Parameter) and x.dtype == weight.dtype
    trained = weight.requires_grad or (bias is not None and bias.requires_grad)
    wide = weight.dim() == 2 and x.dim() > 1 and x.numel() > 0
    return on_cpu and plain and wide and x.requires_grad and not trained


_INSTEAD: Mapping[Any, Callable[..., Any]] = {
    F.scaled_dot_product_attention: attention,
    F.linear: _linear,
    torch.addmm: _addmm,
}


class _Product(torch.autograd.Function):
    """x W + b, whose gradient is computed where there is one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        flat = x.reshape(-1, x.shape[-1])
        product = flat @ weight if bias is None else torch.addmm(bias, flat, weight)
        return product.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return _Back.apply(gradient, weight.t()), None, None


class _Back(torch.autograd.Function):
    """g Wᵀ, row by row, where g is not zero."""

    @staticmethod
    def forward(gradient: Tensor, weight: Tensor) -> Tensor:
        rows = gradient.reshape(-1, gradient.shape[-1])
        # Of all ways to ask, this one takes the least time.
        reached = (rows.amax(-1) != 0) | (rows.amin(-1) != 0)
        found = reached.nonzero().squeeze(-1)
        if len(found) > _WORTH_LEAVING_OUT * len(rows):
            product = rows @ weight
        else:
            product = rows.new_zeros(len(rows), weight.shape[-1])
            product.index_copy_(0, found, rows.index_select(0, found) @ weight)
        return product.view(*gradient.shape[:-1], -1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept: there is no way back from here."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], gradient: Tensor, weight: Tensor
    ) -> tuple[Tensor, int]:
        assert in_dims[0] is not None
        return _Back.apply(gradient.movedim(in_dims[0], 0), weight), 0
