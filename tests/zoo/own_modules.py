"""Modules of a user's own around a Hugging Face model."""

from __future__ import annotations

from typing import Any, ClassVar

import transformers as tf
from torch import nn

from .word_level import ENCODER

CONFIG = tf.BertConfig(**ENCODER, max_position_embeddings=64, num_labels=3)


class Own(tf.PreTrainedModel):
    """BERT and a head; `forward` is a subclass's.

    Args:
        config: The config.
        outputs: How many numbers the head returns.
    """

    config_class = tf.BertConfig
    all_tied_weights_keys: ClassVar[dict[str, str]] = {}

    def __init__(self, config: Any, outputs: int = 3) -> None:
        super().__init__(config)
        self.bert = tf.BertModel(config)
        self.head = nn.Linear(config.hidden_size, outputs)

    def get_input_embeddings(self) -> Any:
        return self.bert.get_input_embeddings()

    def states(self, *args: Any, **given: Any) -> Any:
        return self.head(self.bert(*args, **given)[0])


class OfTensor(Own):
    def forward(self, **given: Any) -> Any:
        return self.states(**given)[:, 0]
