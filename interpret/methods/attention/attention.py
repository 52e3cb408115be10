"""Attention weights, as they are."""

from __future__ import annotations

from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...attention.attention_reduction import REDUCTIONS, between_real, reduced
from ...attention.attention_space import AttentionSpace, Stack
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .attention_interpreter import AttentionInterpreter, View, sinks


class ByLayerAndHead(AttentionInterpreter):
    """A method with a matrix per layer and head.

    Args:
        predictor: The predictor whose predictions are explained.
        layers: What M takes of the layers, once heads are one: their "mean", "max" or "sum", or
            the number of one, from 0, or from the last with -1.
        heads: The same of the heads.
        common: What every method that reads attention takes; see `AttentionInterpreter`.

    Raises:
        ConfigurationError: If a parameter is none of these.
        InterpretationError: When interpreting, if there is no such layer or head.
    """

    def __init__(
        self,
        predictor: Predictor,
        layers: str | int = "mean",
        heads: str | int = "mean",
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.layers = checks.choice_or_integer("layers", layers, REDUCTIONS)
        self.heads = checks.choice_or_integer("heads", heads, REDUCTIONS)

    def views(self, space: AttentionSpace) -> list[View]:
        stacks = space.stacks(self.kind)
        return [
            self._view(stack, between_real(full, stack))
            for stack, full in zip(stacks, self.full(space, stacks), strict=True)
        ]

    def full(self, space: AttentionSpace, stacks: list[Stack]) -> list[Tensor]:
        """For each kind of attention `(layers, sequences, heads, queries, keys)`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement full()")

    def _view(self, stack: Stack, full: Tensor) -> View:
        one_head = reduced(full, self.heads, 2, "head")
        return View(stack, full, reduced(one_head, self.layers, 0, "layer"))


@SaliencyInterpreter.register("attention")
class Attention(ByLayerAndHead):
    """M = the attention weights softmax(QKᵀ/√d), of a layer and head or over all of them.

    Bahdanau et al. 2015; Vaswani et al. 2017, equation 1. Scores are shares: they are not negative
    and those of a field that is looked at add up to 1 (unless `max` or `sum` is taken).
    """

    def full(self, space: AttentionSpace, stacks: list[Stack]) -> list[Tensor]:
        return [stacked([call.weights for call in stack.calls]) for stack in stacks]

    def warnings(self, space: AttentionSpace, scores: Tensor) -> list[list[str]]:
        return sinks(space, scores)


def stacked(layers: list[Tensor]) -> Tensor:
    """Layers as one tensor of single precision.

    Raises:
        ConfigurationError: If they have not as many heads each.
    """
    if len({layer.shape[1] for layer in layers}) > 1:
        heads = ", ".join(str(layer.shape[1]) for layer in layers)
        raise ConfigurationError(f"the layers have {heads} heads and cannot be taken together")
    device = layers[0].device
    return torch.stack([layer.detach().float().to(device) for layer in layers])
