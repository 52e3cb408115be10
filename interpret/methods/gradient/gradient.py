"""How strongly the target reacts to a token's embedding."""

from __future__ import annotations

from typing import Any

from allennlp.predictors import Predictor

from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import L2Norm, Reduction, reduce_coordinates
from ...registry import construct
from ...space.embedding_space import EmbeddingSpace


@SaliencyInterpreter.register("gradient")
class Gradient(SaliencyInterpreter):
    """score_t = reduction(g_t), g = ∇F(x).

    Simonyan, Vedaldi and Zisserman 2013, "Deep Inside Convolutional Networks", section 3.

    Args:
        predictor: The predictor whose predictions are explained.
        reduction: The hidden dimension as one number: "mean-abs", "l1", "l2" or "sum".
        common: What every interpreter takes; see `SaliencyInterpreter`.
    """

    def __init__(
        self,
        predictor: Predictor,
        reduction: Reduction | str | dict[str, Any] = "mean-abs",
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.reduction = construct(Reduction, reduction)

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        g = space.input_gradients
        scores = reduce_coordinates(g, space.layout, self.reduction)
        return Attribution(scores, warnings=saturated(space))


@SaliencyInterpreter.register("gradient-norm")
class GradientNorm(SaliencyInterpreter):
    """score_t = ‖g_t‖₂."""

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        g = space.input_gradients
        scores = reduce_coordinates(g, space.layout, L2Norm())
        return Attribution(scores, warnings=saturated(space))
