"""What contestants share that are given a Hugging Face classifier, wordpieces and label."""

from __future__ import annotations

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ..workloads import Texts
from .hugging_face_model import HuggingFaceModel


class Classifier(HuggingFaceModel):
    """A Hugging Face classifier."""

    @classmethod
    def of(cls, predictor: Predictor) -> Classifier:
        """Takes a predictor apart; its model's parameters will need no gradient."""
        found = super().of(predictor)
        assert not found.word_embeddings.weight[0].any(), "padding must embed as zero"
        return found

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
