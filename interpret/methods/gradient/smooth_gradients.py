"""The gradient, averaged over noisy copies of the input."""

from __future__ import annotations

from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from ... import checks
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import Reduction, Sum, reduce_coordinates
from ...registry import construct
from ...space.embedding_space import EmbeddingSpace
from .noise import NoisyGradients


@SaliencyInterpreter.register("smooth-gradients")
class SmoothGradients(NoisyGradients):
    """ḡ = 1/n Σ ∇F(x + ε_k), ε_k ~ N(0, σ²); score_t = e_t · ḡ_t, or a reduction of ḡ_t.

    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise", section 3.

    Args:
        predictor: The predictor whose predictions are explained.
        times_input: Whether a token's score is e_t · ḡ_t, signed; otherwise a reduction of ḡ_t.
        reduction: The hidden dimension as one number where the input is left out: "l2",
            "mean-abs" or "l1". A plain sum is refused: behind a LayerNorm it is zero.
        common: The noise, and what every interpreter takes; see `NoisyGradients`.

    Raises:
        ConfigurationError: If the reduction is a plain sum, or `times_input` no boolean.
    """

    def __init__(
        self,
        predictor: Predictor,
        times_input: bool = True,
        reduction: Reduction | str | dict[str, Any] = "l2",
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.times_input = checks.boolean("times_input", times_input)
        self.reduction = construct(Reduction, reduction)
        if not self.times_input and isinstance(self.reduction, Sum):
            raise ConfigurationError(
                "the plain sum of a gradient says nothing behind a LayerNorm; use the reduction "
                "'l2', 'mean-abs' or 'l1', or times_input"
            )

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        g = self.mean(space, lambda _, g: g.double())
        if self.times_input:
            scores = reduce_coordinates(space.embeddings * g, space.layout, Sum())
        else:
            scores = reduce_coordinates(g, space.layout, self.reduction)
        return Attribution(scores, warnings=saturated(space))
