"""How strongly the target reacts to which word stands at a position."""

from __future__ import annotations

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...space.embedding_space import EmbeddingSpace
from ..content_cache import ContentCache


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
