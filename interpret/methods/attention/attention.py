"""Attention weights, as they are and times what they do to the target."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...attention.attention_reduction import REDUCTIONS, between_real, reduced
from ...attention.attention_space import AttentionSpace, Stack
from ...interpreter.explanation_warnings import saturated
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
        views = []
        for stack, own in zip(stacks, self.full(space, stacks), strict=True):
            full = between_real(own, stack)
            one_head = reduced(full, self.heads, 2, "head")
            views.append(View(stack, full, reduced(one_head, self.layers, 0, "layer")))
        return views

    def full(self, space: AttentionSpace, stacks: list[Stack]) -> list[Tensor]:
        """For each kind of attention `(layers, sequences, heads, queries, keys)`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement full()")


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


@SaliencyInterpreter.register("attention-x-gradient")
class AttentionXGradient(ByLayerAndHead):
    """M = A ∘ ∂F/∂A, A the attention weights of a layer and head, over all of them the sum.

    Serrano and Smith 2019, "Is Attention Interpretable?", section 4; Barkan et al. 2021,
    "Grad-SAM", equation 4, without leaving out what is negative. With sums throughout, the score of
    a token is, to first order, what the target would lose if nobody looked at it.

    Args:
        predictor: The predictor whose predictions are explained.
        layers: As in `Attention`.
        heads: As in `Attention`.
        common: What every method that reads attention takes; see `AttentionInterpreter`. From
            everywhere is looked ("sum"), unless `query` says from where.
    """

    default_query: ClassVar[str | None] = "sum"
    # What weights do differs from target to target.
    shares_prefixes = False

    def __init__(
        self,
        predictor: Predictor,
        layers: str | int = "sum",
        heads: str | int = "sum",
        **common: Any,
    ) -> None:
        super().__init__(predictor, layers=layers, heads=heads, **common)

    def full(self, space: AttentionSpace, stacks: list[Stack]) -> list[Tensor]:
        calls = [call for stack in stacks for call in stack.calls]
        gradients = iter(space.weight_gradients(calls))
        return [
            stacked([call.weights.detach() * next(gradients) for call in stack.calls])
            for stack in stacks
        ]

    def warnings(self, space: AttentionSpace, scores: Tensor) -> list[list[str]]:
        return saturated(space)
