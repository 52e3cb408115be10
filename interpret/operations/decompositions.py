"""Operations that are taken apart into ones that have a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import formulas, recurrent
from .attention import attention, multi_head_attention
from .calls import depends
from .formulas import maximum, minimum


def _plus(product: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """β input + α times a product of two, which are known by their place or in alphabetical order:
    `mat1` and `mat2`, `mat` and `vec`."""

    def whole(
        input: Tensor, *given: Tensor, beta: float = 1, alpha: float = 1, **named: Tensor
    ) -> Tensor:
        made = product(*given, *(named[name] for name in sorted(named)))
        made = _scaled(alpha, made)
        # What is multiplied by zero is ignored, whatever it is.
        if beta == 0:
            return made
        return _scaled(beta, input) + made

    return whole


def _scaled(value: float, x: Tensor) -> Tensor:
    return x if value == 1 else x * value


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weightᵀ + bias, where the model makes the weight."""
    product = torch.matmul(x, weight.transpose(-1, -2) if weight.dim() > 1 else weight)
    return product if bias is None else product + bias


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """The first half times the sigmoid of the second."""
    first, second = x.chunk(2, dim)
    return first * second.sigmoid()


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
    "baddbmm": _plus(torch.matmul),
    "rdiv": lambda x, other: torch.div(other, x),
    "linalg_inv": inverse,
    "var": formulas.variance,
    "std": lambda *args, **kwargs: formulas.variance(*args, **kwargs).sqrt(),
    "linalg_norm": formulas.matrix_or_vector_norm,
    "vector_norm": formulas.norm,
    "linalg_vector_norm": formulas.norm,
    "min": formulas.min_over,
    "addcdiv": lambda input, tensor1, tensor2, *, value=1: (
        input + _scaled(value, tensor1 / tensor2)
    ),
    "addcmul": lambda input, left, right, value=1: input + _scaled(value, left * right),
    "cumprod": cumprod,
    "glu": glu,
    "inverse": inverse,
    "lerp": lambda input, end, weight: input + (end - input) * weight,
    "logaddexp": lambda x, other: torch.stack(torch.broadcast_tensors(x, other)).logsumexp(0),
    "prod": prod,
    "softmin": lambda x, *args, **kwargs: F.softmax(-x, *args, **kwargs),
    **{
        name: getattr(module, name)
        for module, names in (
            (formulas, ("amin", "max_pool1d", "max_pool2d", "maximum", "minimum")),
            (formulas, ("binary_cross_entropy", "binary_cross_entropy_with_logits")),
            (formulas, ("cross_entropy", "l1_loss", "mse_loss")),
            (formulas, ("cosine_similarity", "group_norm", "instance_norm", "norm", "normalize")),
            (recurrent, ("gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_tanh")),
        )
        for name in names
    },
}

_OF_SEVERAL: dict[str, Callable[..., Any]] = {
    "addmm": _plus(torch.matmul),
    "addmv": _plus(torch.matmul),
    "addbmm": _plus(lambda left, right: torch.matmul(left, right).sum(0)),
    "addr": _plus(lambda left, right: left[:, None] * right),
    **dict.fromkeys(("outer", "ger"), lambda input, vec2: input[:, None] * vec2),
    "layer_norm": formulas.layer_norm,
    "rms_norm": formulas.rms_norm,
    "clamp": clamp,
    "clamp_min": maximum,
    "clamp_max": minimum,
}
"""Operations that are taken apart where several of their arguments depend on the embeddings."""


def decomposition(
    name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Callable[..., Any] | None:
    """How to take a call of an operation apart, None for not at all."""
    if name in _OF_SEVERAL and _several((*args, *kwargs.values())):
        return _OF_SEVERAL[name]
    if name == "linear" and _several((*args[:2], kwargs.get("weight"))):
        return linear
    if name in ("max", "min") and len(args) > 1 and isinstance(args[1], Tensor):
        return maximum if name == "max" else minimum
    return DECOMPOSITIONS.get(name)


def _several(args: tuple[Any, ...]) -> bool:
    return sum(map(depends, args)) > 1
