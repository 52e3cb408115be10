"""Nothing at all: the floor that a method must beat."""

from __future__ import annotations

from typing import Any

import torch
from allennlp.predictors import Predictor

from .. import checks
from ..interpreter.assembly import Attribution
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..positions import PADDING
from ..space.embedding_space import EmbeddingSpace


@SaliencyInterpreter.register("random")
class Random(SaliencyInterpreter):
    """score_t ~ N(0, 1), whatever the model.

    Args:
        predictor: The predictor whose predictions are "explained".
        seed: Seed of the scores; the same seed gives the same scores in any batch.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If the seed is no integer of 64 bits.
    """

    bound_to_text = "it does not look at the embeddings"

    def __init__(self, predictor: Predictor, seed: int = 0, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.seed = checks.seed("seed", seed)

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        scores = torch.zeros(space.layout.tokens.shape)
        for row, tokens in enumerate(space.layout.tokens):
            generator = torch.Generator().manual_seed(self.seed)
            present = tokens > PADDING
            scores[row, present] = torch.randn(int(present.sum()), generator=generator)
        return Attribution(scores)
