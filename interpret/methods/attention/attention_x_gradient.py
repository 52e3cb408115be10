"""Attention weights times what they do to the target."""

from __future__ import annotations

from typing import Any, ClassVar

from allennlp.predictors import Predictor
from torch import Tensor

from ...attention.attention_space import AttentionSpace, Stack
from ...interpreter.explanation_warnings import saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .attention import ByLayerAndHead, stacked


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
