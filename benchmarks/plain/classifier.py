"""What contestants share that are given a Hugging Face classifier, wordpieces and label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor, nn

from ..workloads import Texts


@dataclass(frozen=True)
class Classifier:
    """The parts of a predictor of a Hugging Face classifier.

    Attributes:
        model: The Hugging Face model; its parameters need no gradient.
        tokenizer: Its tokenizer.
        word_embeddings: Its layer for words.
    """

    model: Any
    tokenizer: Any
    word_embeddings: nn.Embedding

    @classmethod
    def of(cls, predictor: Predictor) -> Classifier:
        """Takes a predictor apart; its model's parameters will need no gradient."""
        outer: Any = predictor._model
        reader: Any = predictor._dataset_reader
        outer.requires_grad_(False)
        words = outer.transformer.get_input_embeddings()
        assert not words.weight[0].any(), "padding must embed as zero"
        return cls(outer.transformer, reader.tokenizer, words)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.word_embeddings.weight.device

    def ids(self, texts: Texts) -> list[Tensor]:
        """The wordpieces of each text, `(positions,)`."""
        numbers = [self.tokenizer(text["sentence"])["input_ids"] for text in texts]
        return [torch.tensor(own, device=self.device) for own in numbers]

    def labels(self, ids: list[Tensor]) -> list[int]:
        """What the model predicts for each text."""
        with torch.no_grad():
            return [int(self.model(input_ids=own[None]).logits.argmax()) for own in ids]

    def log_probabilities(self, mask: Tensor | None = None, **given: Tensor) -> Tensor:
        """`(rows, classes)`, for `input_ids` or `inputs_embeds`."""
        logits: Tensor = self.model(attention_mask=mask, **given).logits
        return logits.log_softmax(-1)
