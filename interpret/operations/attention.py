"""Attention that is computed in one call, written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .calls import takes


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


@takes(F.multi_head_attention_forward)
def multi_head_attention(given: Any) -> tuple[Tensor, Tensor | None]:
    """The attention of `torch.nn.MultiheadAttention`, `(length, batch, dim)`."""
    if given.bias_k is not None or given.add_zero_attn or given.static_k is not None:
        raise NotImplementedError("multi-head attention with bias_k, add_zero_attn or static_k")
    if given.query.dim() == 2:
        raise NotImplementedError("multi-head attention without a batch")
    if given.use_separate_proj_weight:
        weights = (given.q_proj_weight, given.k_proj_weight, given.v_proj_weight)
    else:
        weights = given.in_proj_weight.chunk(3)
    biases = (None,) * 3 if given.in_proj_bias is None else given.in_proj_bias.chunk(3)

    def heads(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        projected = F.linear(states, weight, bias)
        return projected.unflatten(-1, (given.num_heads, -1)).permute(1, 2, 0, 3)

    states = zip((given.query, given.key, given.value), weights, biases, strict=True)
    q, k, v = (heads(*each) for each in states)
    mask = _additive(given.attn_mask, q)
    if mask is not None and mask.dim() == 3:
        mask = mask.unflatten(0, (-1, given.num_heads))
    padding = _additive(given.key_padding_mask, q)
    if padding is not None:
        padding = padding[:, None, None, :]
        mask = padding if mask is None else mask + padding
    heads_weights = attention_weights(q, k, mask)
    out = (heads_weights @ v).permute(2, 0, 1, 3).flatten(2)
    out = F.linear(out, given.out_proj_weight, given.out_proj_bias)
    if not given.need_weights:
        return out, None
    return out, heads_weights.mean(1) if given.average_attn_weights else heads_weights


def _additive(mask: Tensor | None, like: Tensor) -> Tensor | None:
    if mask is None or mask.dtype != torch.bool:
        return mask
    lowest = torch.finfo(like.dtype).min / 2
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(mask, lowest)
