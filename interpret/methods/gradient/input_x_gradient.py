"""The first-order estimate of what a token's embedding contributes."""

from __future__ import annotations

from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import Sum, reduce_coordinates
from ...space.embedding_space import EmbeddingSpace


@SaliencyInterpreter.register("input-x-gradient")
class InputXGradient(SaliencyInterpreter):
    """score_t = e_t · g_t, g = ∇F(x).

    Shrikumar et al. 2016, "Not Just a Black Box", section 2.
    """

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        products = space.embeddings * space.input_gradients
        scores = reduce_coordinates(products, space.layout, Sum())
        return Attribution(scores, warnings=saturated(space))
