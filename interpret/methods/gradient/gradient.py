"""The gradient at the input: how strongly the target reacts to a token."""

from __future__ import annotations

from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import cancelled, saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import L2Norm, Reduction, Sum, reduce_coordinates
from ...registry import construct
from ...space.embedding_space import EmbeddingSpace
from ..content_cache import ContentCache


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


@SaliencyInterpreter.register("input-x-gradient")
class InputXGradient(SaliencyInterpreter):
    """score_t = e_t · g_t, g = ∇F(x).

    Shrikumar et al. 2016, "Not Just a Black Box", section 2.
    """

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        products = space.embeddings * space.input_gradients
        scores = reduce_coordinates(products, space.layout, Sum())
        sizes = reduce_coordinates(products.abs(), space.layout, Sum())
        warnings = zip(saturated(space), cancelled(space, scores, sizes), strict=True)
        return Attribution(scores, warnings=[[*one, *other] for one, other in warnings])


@SaliencyInterpreter.register("one-hot-gradient")
class OneHotGradient(SaliencyInterpreter):
    """score_t = ‖∂F/∂o_t‖₂ for the one-hot vector o_t with e_t = Eᵀ o_t.

    The gradient is E g_t, one number per word of the vocabulary; its norm is √(g_tᵀ (EᵀE) g_t),
    so the Gram matrix EᵀE, `(dim, dim)`, is all that is needed of the vocabulary.

    With the target `span` and the normalization `max-abs` this is the saliency that is customary
    for question answering with BERT.

    Raises:
        InterpretationError: If an embedding layer is no matrix of word vectors.
    """

    def __init__(self, predictor: Predictor, **common: object) -> None:
        super().__init__(predictor, **common)  # type: ignore[arg-type]
        self._gram_matrices: ContentCache[Tensor] = ContentCache(lambda matrix: matrix.T @ matrix)

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        squares = []
        for number, g in enumerate(space.layout.split(space.input_gradients)):
            gram = self._gram_matrices(space.layout.calls[number].word_vectors()).to(g)
            squares.append(torch.einsum("ipd,de,ipe->ip", g, gram, g))
        scores = torch.cat(squares, dim=1).clamp_min(0).sqrt()
        return Attribution(scores, warnings=saturated(space))
