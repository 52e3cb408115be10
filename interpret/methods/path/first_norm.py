"""Whether a model normalises its embeddings before anything is added to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...operations.calls import CallMode, operation

_MEANS = frozenset({"mean", "var", "sum"})
_ROOTS = frozenset({"rsqrt", "sqrt", "pow"})


class FirstNorm(CallMode):
    """Watches a forward pass up to its first norm: a fused one, or a root of a mean and an ε.

    Attributes:
        divides_by_epsilon: For each vector that the norm is given whether its ε outweighs the
            vector's own mean square, so that it is scaled up by about 1/√ε; None where the pass
            had no norm. Of shape `(rows, positions)` in most models.
    """

    def __init__(self) -> None:
        super().__init__()
        self.divides_by_epsilon: Tensor | None = None
        self._mean: Tensor | None = None

    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        output = func(*args, **kwargs)
        if self.divides_by_epsilon is None:
            self._watch(operation(func), args, kwargs, output)
        return output

    def _watch(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any
    ) -> None:
        if name in _PARAMETERS:
            self.divides_by_epsilon = _fused(name, args, kwargs)
        elif name in _MEANS and isinstance(output, Tensor) and output.is_floating_point():
            self._mean = output.detach()
        elif name in _ROOTS and args and isinstance(args[0], Tensor) and self._mean is not None:
            under, mean = args[0].detach(), self._mean
            if under.dim() > 1 and under.shape == mean.shape and _is_root(name, args, kwargs):
                self.divides_by_epsilon = (mean <= under - mean).squeeze(-1)


def normalises_first(at_zero: FirstNorm, at_text: FirstNorm) -> bool:
    """Whether the first norm sees nothing but its ε at some position of a zero baseline.

    A model that adds positions, types or a bias to its embeddings has a value at zero as
    elsewhere. One that normalises the embeddings themselves has a derivative of 1/√ε there, and one
    that goes on doing so in each block a product of such.

    Args:
        at_zero: What was seen in the pass of the baseline.
        at_text: The same for the input: padding and the like are as they are in both.
    """
    zero, text = at_zero.divides_by_epsilon, at_text.divides_by_epsilon
    if zero is None or text is None or zero.shape != text.shape:
        return False
    return bool((zero & ~text).any())


def _is_root(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    exponent = args[1] if len(args) > 1 else kwargs.get("exponent")
    return name != "pow" or exponent in (0.5, -0.5)


def _fused(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    given = {**dict(zip(_PARAMETERS[name], args, strict=False)), **kwargs}
    x = given["input"].detach().float()
    dims = tuple(range(-len(given["normalized_shape"]), 0))
    if name == "layer_norm":
        x = x - x.mean(dims, keepdim=True)
    eps = given.get("eps")
    if eps is None:
        eps = 1e-5 if name == "layer_norm" else torch.finfo(given["input"].dtype).eps
    return x.square().mean(dims) <= eps


_PARAMETERS = {
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
}
