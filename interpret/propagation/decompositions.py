"""Operations that are taken apart into ones that have a rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .recurrent import gru, gru_cell, lstm, lstm_cell, rnn_relu, rnn_tanh


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    weighted: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """softmax(q kᵀ / √d) v, as `scaled_dot_product_attention` computes it without dropout.

    Args:
        weighted: Takes the softmax and returns the weights to go on with; None for these.
    """
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(groups, dim=-3) for t in (key, value))
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return (weights if weighted is None else weighted(weights)) @ value


def attention_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(q kᵀ / √d); zero where a query may look at nothing."""
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.transpose(-2, -1) * factor
    lowest = torch.finfo(scores.dtype).min
    if is_causal:
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~causal, lowest)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        blind = ~attn_mask.any(-1, keepdim=True)
        return scores.masked_fill(~attn_mask, lowest).softmax(-1).masked_fill(blind, 0)
    if attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1)


def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """The attention of `torch.nn.MultiheadAttention`, `(length, batch, dim)`."""
    if bias_k is not None or add_zero_attn or static_k is not None:
        raise NotImplementedError("multi-head attention with bias_k, add_zero_attn or static_k")
    if query.dim() == 2:
        raise NotImplementedError("multi-head attention without a batch")
    if use_separate_proj_weight:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        assert in_proj_weight is not None
        weights = in_proj_weight.chunk(3)
    biases: Any = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)

    def heads(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        projected = F.linear(states, weight, bias)
        return projected.unflatten(-1, (num_heads, -1)).permute(1, 2, 0, 3)

    states = zip((query, key, value), weights, biases, strict=True)
    q, k, v = (heads(*each) for each in states)
    mask = _additive(attn_mask, q)
    if mask is not None and mask.dim() == 3:
        mask = mask.unflatten(0, (-1, num_heads))
    padding = _additive(key_padding_mask, q)
    if padding is not None:
        padding = padding[:, None, None, :]
        mask = padding if mask is None else mask + padding
    heads_weights = attention_weights(q, k, mask)
    out = (heads_weights @ v).permute(2, 0, 1, 3).flatten(2)
    out = F.linear(out, out_proj_weight, out_proj_bias)
    if not need_weights:
        return out, None
    return out, heads_weights.mean(1) if average_attn_weights else heads_weights


def _additive(mask: Tensor | None, like: Tensor) -> Tensor | None:
    if mask is None or mask.dtype != torch.bool:
        return mask
    lowest = torch.finfo(like.dtype).min / 2
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(mask, lowest)


def addmm(input: Tensor, left: Tensor, right: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
    """β input + α left @ right."""
    product = torch.matmul(left, right)
    return (input if beta == 1 else input * beta) + (product if alpha == 1 else product * alpha)


def addbmm(input: Tensor, left: Tensor, right: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
    """β input + α Σ left @ right, summed over the batch."""
    product = torch.matmul(left, right).sum(0)
    return (input if beta == 1 else input * beta) + (product if alpha == 1 else product * alpha)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weightᵀ + bias, where the model makes the weight."""
    product = torch.matmul(x, weight.transpose(-1, -2) if weight.dim() > 1 else weight)
    return product if bias is None else product + bias


def norm_layer(name: str) -> Callable[..., Tensor]:
    """A norm whose weight or bias the model makes: without them, then with them."""

    def layer_norm(
        x: Tensor,
        normalized_shape: Any,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
        **kwargs: Any,
    ) -> Tensor:
        y = F.layer_norm(x, normalized_shape, eps=eps)
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    def rms_norm(
        x: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
    ) -> Tensor:
        y = F.rms_norm(x, normalized_shape, eps=eps)
        return y if weight is None else y * weight

    return layer_norm if name == "layer_norm" else rms_norm


def addcmul(input: Tensor, left: Tensor, right: Tensor, value: float = 1) -> Tensor:
    """input + value · left · right."""
    product = left * right
    return input + (product if value == 1 else product * value)


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


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """The first half times the sigmoid of the second."""
    first, second = x.chunk(2, dim)
    return first * second.sigmoid()


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


def max_pool1d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The largest of each window."""
    size, step, pad, gap = (
        v[0] if isinstance(v, tuple) else v
        for v in (kernel_size, stride or kernel_size, padding, dilation)
    )
    if gap != 1 or ceil_mode or return_indices:
        raise NotImplementedError("max_pool1d with dilation, ceil_mode or indices")
    x = F.pad(x, (pad, pad), value=torch.finfo(x.dtype).min)
    return x.unfold(-1, size, step).amax(-1)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log-likelihood of a log-softmax."""
    if label_smoothing or target.is_floating_point():
        raise NotImplementedError("cross entropy with soft labels")
    log_p = input.log_softmax(1)
    return F.nll_loss(log_p, target, weight, ignore_index=ignore_index, reduction=reduction)


DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    "scaled_dot_product_attention": attention,
    "multi_head_attention_forward": multi_head_attention,
    "baddbmm": addmm,
    "addcmul": addcmul,
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
