"""Norms and lengths, written out."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from .calls import takes


def layer_norm(
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    **ignored: Any,
) -> Tensor:
    """A norm whose weight or bias the model makes: without them, then with them."""
    return _affine(F.layer_norm(x, normalized_shape, eps=eps), weight, bias)


def rms_norm(
    x: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """The same for a norm without a mean."""
    return _affine(F.rms_norm(x, normalized_shape, eps=eps), weight)


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def variance(
    x: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, **kwargs: Any
) -> Tensor:
    """The mean of the squared deviations from the mean."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = kwargs.get("correction", 1 if unbiased else 0)
    dims = tuple(range(x.dim())) if dim is None else dim
    count = x.numel() / max(x.mean(dims).numel(), 1)
    deviations = (x - x.mean(dims, keepdim=True)) ** 2
    return deviations.mean(dims, keepdim=keepdim) * (count / (count - correction))


def norm(x: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """(Σ |x|ᵖ)^(1/p)."""
    p = {None: 2, "fro": 2}.get(kwargs.get("ord", p), kwargs.get("ord", p))
    dims = tuple(range(x.dim())) if dim is None else dim
    if p == 1:
        return x.abs().sum(dims, keepdim=keepdim)
    if p != 2:
        raise NotImplementedError(f"a norm of order {p}")
    return (x**2).sum(dims, keepdim=keepdim).sqrt()


def matrix_or_vector_norm(
    x: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, **kwargs: Any
) -> Tensor:
    """`torch.linalg.norm`: with an order given, a matrix has a norm of its own."""
    over = x.dim() if dim is None else 1 if isinstance(dim, int) else len(dim)
    if ord not in (None, "fro") and over > 1:
        raise NotImplementedError(f"a matrix norm of order {ord}")
    return norm(x, ord, dim, keepdim, **kwargs)


def normalize(
    x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None
) -> Tensor:
    """x / max(‖x‖, eps)."""
    return x / x.norm(p, dim, keepdim=True).clamp_min(eps)


def cosine_similarity(x: Tensor, y: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x · y / (‖x‖ ‖y‖)."""
    return (normalize(x, 2.0, dim, eps) * normalize(y, 2.0, dim, eps)).sum(dim)


def group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *ignored: Any,
) -> Tensor:
    """The channels of each group, with everything behind them, by mean and variance."""
    groups = x.unflatten(1, (num_groups, -1))
    y = F.layer_norm(groups, groups.shape[2:], eps=eps).reshape(x.shape)
    return _by_channel(y, weight, bias)


@takes(F.instance_norm)
def instance_norm(given: Any) -> Tensor:
    """Each channel of each row by its mean and variance."""
    x = given.input
    if given.use_input_stats:
        y = F.layer_norm(x, x.shape[2:], eps=given.eps)
        return _by_channel(y, given.weight, given.bias)
    affine = (given.running_mean, given.running_var, given.weight, given.bias)
    return F.batch_norm(x, *affine, False, given.momentum, given.eps)


def _by_channel(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    shape = (-1, *(1,) * (y.dim() - 2))
    return _affine(y, *(one if one is None else one.view(shape) for one in (weight, bias)))
