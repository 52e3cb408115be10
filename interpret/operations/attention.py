"""Attention that is computed in one call, written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


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
