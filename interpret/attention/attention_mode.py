"""Attention weights as a forward pass makes them, in whatever form the model computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ..errors import InterpretationError
from ..operations.attention import attention, multi_head_attention
from ..operations.calls import CallMode, operation

Seen = Callable[[Tensor], Tensor]
"""Takes attention weights, `(sequences, heads, queries, keys)`, and returns those to go on with."""


class AttentionMode(CallMode):
    """Hands the attention weights of a forward pass to a function, which may return others.

    What a model computes in one call (`scaled_dot_product_attention`, the attention of
    `torch.nn.MultiheadAttention`) is computed step by step; what it computes step by step is known
    by its softmax over the last of four dimensions. So no model has to be asked for its weights,
    nor set to another implementation.

    Args:
        seen: The function.
    """

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        name = operation(func)
        if name == "scaled_dot_product_attention":
            return attention(*args, **{**kwargs, "weighted": self._show})
        if name == "multi_head_attention_forward":
            try:
                with self:
                    return multi_head_attention(*args, **kwargs)
            except NotImplementedError as error:
                raise InterpretationError(f"no reading the attention of {error}") from error
        result = func(*args, **kwargs)
        if name == "softmax" and result.dim() == 4:
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            return self._seen(result) if dim in (-1, 3) else result
        return result

    def _show(self, weights: Tensor) -> Tensor:
        if weights.dim() == 3:
            return self._seen(weights.unsqueeze(1)).squeeze(1)
        return self._seen(weights) if weights.dim() == 4 else weights
