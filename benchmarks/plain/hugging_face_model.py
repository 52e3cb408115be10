"""What a predictor of a Hugging Face model is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from allennlp.predictors import Predictor
from torch import nn


@dataclass(frozen=True)
class HuggingFaceModel:
    """The parts of a predictor of a Hugging Face model.

    Attributes:
        model: The Hugging Face model; its parameters need no gradient.
        tokenizer: Its tokenizer.
        word_embeddings: Its layer for words.
    """

    model: Any
    tokenizer: Any
    word_embeddings: nn.Embedding

    @classmethod
    def of(cls, predictor: Predictor) -> Self:
        """Takes a predictor apart; its model's parameters will need no gradient."""
        outer: Any = predictor._model
        reader: Any = predictor._dataset_reader
        outer.requires_grad_(False)
        model = outer.transformer
        return cls(model, reader.tokenizer, model.get_input_embeddings())
