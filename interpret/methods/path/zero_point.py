"""What is to be said of a zero baseline where a model normalises right after its embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import InterpretationError
from ...operations.calls import CallMode, operation
from ...space.baselines import Baseline, ZeroBaseline
from ...space.embedding_space import EmbeddingSpace

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


_CAUSE = "the model normalises right after its embedding, so its gradient at the zero baseline "
_WAY_OUT = "name the baseline 'mean' or 'pad'"


class ZeroPoint:
    """The zero baseline among those of a method, if it is one of them.

    Args:
        baseline: The method's baseline.
    """

    def __init__(self, baseline: Baseline) -> None:
        members = baseline.members()
        self._baseline = next((one for one in members if isinstance(one, ZeroBaseline)), None)
        # How the model is built, so the same for all inputs; None until it was looked at.
        self._known: bool | None = None

    def explain_overflow(self, space: EmbeddingSpace) -> None:
        """Raises the true cause of scores that are not finite, if the zero baseline is it.

        Args:
            space: The instances.

        Raises:
            InterpretationError: If the model divides by next to nothing there.
        """
        if self._normalises_first(space):
            raise InterpretationError(f"{_CAUSE}overflows; {_WAY_OUT}")

    def warning(self, space: EmbeddingSpace) -> list[str]:
        """The same for scores that are finite, but not to be trusted; empty for nothing.

        Args:
            space: The instances.
        """
        if not self._normalises_first(space):
            return []
        return [f"{_CAUSE}is so large that the attributions are noise; {_WAY_OUT}"]

    def _normalises_first(self, space: EmbeddingSpace) -> bool:
        if self._baseline is None:
            return False
        if self._known is None:
            first = space.at_input_embeddings()
            row = torch.zeros(1, dtype=torch.long)
            watches = []
            for points in (self._baseline(first), first.embeddings):
                watch = FirstNorm()
                with watch:
                    first.evaluate(points[:1], row)
                watches.append(watch)
            self._known = normalises_first(*watches)
        return self._known
