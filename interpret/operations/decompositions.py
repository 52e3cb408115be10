"""Operations that are taken apart into ones that have a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import attention, multi_head_attention
from .calls import depends
from .extremes import amin, max_pool1d, max_pool2d, maximum, min_over, minimum
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
)
from .norms import (
    cosine_similarity,
    group_norm,
    instance_norm,
    matrix_or_vector_norm,
    norm,
    norm_layer,
    normalize,
    variance,
)
from .recurrent import gru, gru_cell, lstm, lstm_cell, rnn_relu, rnn_tanh


def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """β input + α mat1 @ mat2."""
    return _weighted_sum(input, torch.matmul(mat1, mat2), beta, alpha)


def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """β input + α batch1 @ batch2."""
    return _weighted_sum(input, torch.matmul(batch1, batch2), beta, alpha)


def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """β input + α Σ batch1 @ batch2, summed over the batch."""
    return _weighted_sum(input, torch.matmul(batch1, batch2).sum(0), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """β input + α mat @ vec."""
    return _weighted_sum(input, torch.matmul(mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """β input + α vec1 vec2ᵀ."""
    return _weighted_sum(input, vec1[:, None] * vec2, beta, alpha)


def _weighted_sum(input: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    if alpha != 1:
        product = product * alpha
    # What is multiplied by zero is ignored, whatever it is.
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """input vec2ᵀ."""
    return input[:, None] * vec2


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight (end - input)."""
    return input + (end - input) * weight


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value · tensor1 / tensor2."""
    quotient = tensor1 / tensor2
    return input + (quotient if value == 1 else quotient * value)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weightᵀ + bias, where the model makes the weight."""
    product = torch.matmul(x, weight.transpose(-1, -2) if weight.dim() > 1 else weight)
    return product if bias is None else product + bias


def addcmul(input: Tensor, left: Tensor, right: Tensor, value: float = 1) -> Tensor:
    """input + value · left · right."""
    product = left * right
    return input + (product if value == 1 else product * value)


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """The first half times the sigmoid of the second."""
    first, second = x.chunk(2, dim)
    return first * second.sigmoid()


def softmin(x: Tensor, dim: int | None = None, *args: Any, **kwargs: Any) -> Tensor:
    """The softmax of -x."""
    return F.softmax(-x, dim, *args, **kwargs)


def logaddexp(x: Tensor, other: Tensor) -> Tensor:
    """log(eˣ + eʸ)."""
    return torch.stack(torch.broadcast_tensors(x, other)).logsumexp(0)


def prod(x: Tensor, dim: int | None = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    """x_1 x_2 …, two by two."""
    factors = list(x.flatten().unbind() if dim is None else x.unbind(dim))
    while len(factors) > 1:
        pairs = zip(factors[::2], factors[1::2], strict=False)
        odd = factors[-1:] if len(factors) % 2 else []
        factors = [left * right for left, right in pairs] + odd
    return factors[0].unsqueeze(dim) if keepdim and dim is not None else factors[0]


def cumprod(x: Tensor, dim: int, **kwargs: Any) -> Tensor:
    """x_1, x_1 x_2, …"""
    products: list[Tensor] = []
    for factor in x.unbind(dim):
        products.append(products[-1] * factor if products else factor)
    return torch.stack(products, dim)


def clamp(x: Tensor, min: Tensor | None = None, max: Tensor | None = None) -> Tensor:
    """x between two tensors."""
    x = x if min is None else maximum(x, _tensor(min, x))
    return x if max is None else minimum(x, _tensor(max, x))


def _tensor(value: Any, like: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else like.new_tensor(value)


def inverse(x: Tensor) -> Tensor:
    """The solution of x y = 1."""
    one = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    return torch.linalg.solve(x, one.expand_as(x))


DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": attention,
    "multi_head_attention_forward": multi_head_attention,
    "baddbmm": baddbmm,
    "addcmul": addcmul,
    "addcdiv": addcdiv,
    "lerp": lerp,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "max_pool2d": max_pool2d,
    "mse_loss": mse_loss,
    "l1_loss": l1_loss,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "softmin": softmin,
    "logaddexp": logaddexp,
    "prod": prod,
    "cumprod": cumprod,
    "inverse": inverse,
    "linalg_inv": inverse,
    "var": variance,
    "std": lambda *args, **kwargs: variance(*args, **kwargs).sqrt(),
    "norm": norm,
    "linalg_norm": matrix_or_vector_norm,
    "vector_norm": norm,
    "linalg_vector_norm": norm,
    "normalize": normalize,
    "cosine_similarity": cosine_similarity,
    "glu": glu,
    "maximum": maximum,
    "minimum": minimum,
    "amin": amin,
    "max_pool1d": max_pool1d,
    "cross_entropy": cross_entropy,
    "lstm": lstm,
    "gru": gru,
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
    "lstm_cell": lstm_cell,
    "gru_cell": gru_cell,
}

_CLAMPS: dict[str, Callable[..., Any]] = {
    "clamp": clamp,
    "clamp_min": maximum,
    "clamp_max": minimum,
}
_SUMS_WITH_PRODUCTS: dict[str, Callable[..., Any]] = {
    "addmm": addmm,
    "addbmm": addbmm,
    "addmv": addmv,
    "addr": addr,
}


def special(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Callable[..., Any] | None:
    """How to take apart an operation that only some arguments make more than linear."""
    given = (*args, *kwargs.values())
    if name in _SUMS_WITH_PRODUCTS and sum(map(depends, given)) > 1:
        return _SUMS_WITH_PRODUCTS[name]
    if name in ("outer", "ger") and sum(map(depends, given)) > 1:
        return outer
    if name == "linear" and _count((*args[:2], kwargs.get("weight"))) > 1:
        return linear
    if name in ("layer_norm", "rms_norm") and _count((*args, *kwargs.values())) > 1:
        return norm_layer(name)
    if name in _CLAMPS and sum(map(depends, given)) > 1:
        return _CLAMPS[name]
    if name == "rdiv":
        return lambda x, other: torch.div(other, x)
    if name in ("max", "min") and len(args) > 1 and isinstance(args[1], Tensor):
        return maximum if name == "max" else minimum
    if name == "min":
        return min_over
    return None


def _count(args: tuple[Any, ...]) -> int:
    return sum(map(depends, args))
