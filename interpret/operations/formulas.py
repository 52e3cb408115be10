"""Norms and lengths, losses, and what is largest or smallest, written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
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


@takes(F.cross_entropy)
def cross_entropy(given: Any) -> Tensor:
    """The negative log-likelihood of a log-softmax, of one label or of shares of all."""
    dim, target, weight = min(given.input.dim() - 1, 1), given.target, given.weight
    log_p = given.input.log_softmax(dim)
    share = given.label_smoothing / log_p.shape[dim]
    by_class = None if weight is None else _along(weight, log_p, dim)
    weighed = log_p if by_class is None else log_p * by_class
    if target.is_floating_point():
        shares = target * (1 - given.label_smoothing) + share
        # Of shares the mean is over rows, whatever the weights are.
        return _reduced(-(weighed * shares).sum(dim), given)
    options = {"ignore_index": given.ignore_index, "reduction": given.reduction}
    loss = F.nll_loss(log_p, target, weight, **options)
    if not given.label_smoothing:
        return loss
    ignored = target == given.ignore_index
    others = (-weighed).sum(dim).masked_fill(ignored, 0)
    if given.reduction != "none":
        others = others.sum()
    if given.reduction == "mean":
        counted = ~ignored if weight is None else weight[target.masked_fill(ignored, 0)] * ~ignored
        others = others / counted.sum()
    return loss * (1 - given.label_smoothing) + others * share


def _along(weight: Tensor, x: Tensor, dim: int) -> Tensor:
    """The weight of each class, along the dimension of the classes."""
    return weight.view(*(-1 if place == dim else 1 for place in range(x.dim())))


@takes(F.mse_loss)
def mse_loss(given: Any) -> Tensor:
    """(input - target)²."""
    if given.weight is not None:
        raise NotImplementedError("a squared error with weights")
    return _reduced((given.input - given.target) ** 2, given)


@takes(F.l1_loss)
def l1_loss(given: Any) -> Tensor:
    """|input - target|."""
    if given.weight is not None:
        raise NotImplementedError("an absolute error with weights")
    return _reduced((given.input - given.target).abs(), given)


@takes(F.binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits(given: Any) -> Tensor:
    """-w t log σ(x) - (1 - t) log σ(-x), w the weight of the positives."""
    positive = given.target * F.logsigmoid(given.input)
    positive = positive if given.pos_weight is None else positive * given.pos_weight
    losses = -(positive + (1 - given.target) * F.logsigmoid(-given.input))
    return _reduced(losses if given.weight is None else losses * given.weight, given)


@takes(F.binary_cross_entropy)
def binary_cross_entropy(given: Any) -> Tensor:
    """-t log x - (1 - t) log(1 - x), logarithms above -100."""
    yes, no = (one.log().clamp(min=-100) for one in (given.input, 1 - given.input))
    losses = -(given.target * yes + (1 - given.target) * no)
    return _reduced(losses if given.weight is None else losses * given.weight, given)


def _reduced(losses: Tensor, given: Any) -> Tensor:
    if given.reduction == "none":
        return losses
    return losses.mean() if given.reduction == "mean" else losses.sum()


def maximum(x: Tensor, y: Tensor) -> Tensor:
    """The larger of two, elementwise."""
    return torch.stack(torch.broadcast_tensors(x, y)).amax(0)


def minimum(x: Tensor, y: Tensor) -> Tensor:
    """The smaller of two, elementwise."""
    return -maximum(-x, -y)


def min_over(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """-max(-x), with the places of the smallest where a dimension is named."""
    found = torch.max(-x, *args, **kwargs)
    if isinstance(found, Tensor):
        return -found
    return torch.return_types.min((-found[0], found[1]))


def amin(x: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """-max(-x)."""
    return -torch.amax(-x, dim, keepdim)


def _max_pool(dims: int) -> Callable[..., Tensor]:
    """The largest of each window of the last dimensions."""

    def max_pool(
        x: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor:
        sizes, steps, pads, gaps = (
            v if isinstance(v, (tuple, list)) else (v,) * dims
            for v in (kernel_size, stride or kernel_size, padding, dilation)
        )
        if any(gap != 1 for gap in gaps) or ceil_mode or return_indices:
            raise NotImplementedError(f"max_pool{dims}d with dilation, ceil_mode or indices")
        around = [pad for pad in reversed(pads) for _ in range(2)]
        x = F.pad(x, around, value=torch.finfo(x.dtype).min)
        for size, step in zip(sizes, steps, strict=True):
            x = x.unfold(-dims, size, step)
        return x.flatten(-dims).amax(-1)

    return max_pool


max_pool1d, max_pool2d = _max_pool(1), _max_pool(2)
