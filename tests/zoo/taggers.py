"""A tagger that predicts what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from allennlp.data import Vocabulary
from allennlp.data.dataset_readers import SequenceTaggingDatasetReader
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.models import Model
from allennlp.nn.util import get_text_field_mask, sequence_cross_entropy_with_logits
from allennlp.predictors import Predictor, SentenceTaggerPredictor
from torch import Tensor, nn

from tests.zoo import WORDS
from tests.zoo.transformers import spread
from tests.zoo.unusual_models import DIM, words_embedder

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


class FixedTags(Model):
    """A tagger that predicts what it is told, and is differentiable all the same.

    Args:
        tags: What it predicts for the words; "O" for others.
        average: How its loss adds up: "batch" as AllenNLP's SimpleTagger, "token" over all tokens.
    """

    def __init__(self, vocab: Vocabulary, tags: Mapping[str, str], average: str = "batch") -> None:
        super().__init__(vocab)
        self.text_field_embedder = words_embedder(vocab)
        spread(self, 1)
        size = vocab.get_vocab_size("labels")
        self.mixing = nn.Linear(DIM, size)
        spread(self.mixing, 2)
        self.average = average
        wanted = torch.zeros(vocab.get_vocab_size("tokens"), size)
        outside = vocab.get_token_index("O", "labels")
        wanted[:, outside] = 8.0
        for word, tag in tags.items():
            wanted[vocab.get_token_index(word), outside] = 0
            wanted[vocab.get_token_index(word), vocab.get_token_index(tag, "labels")] = 8.0
        self.register_buffer("wanted", wanted)

    def forward(
        self,
        tokens: Any,
        tags: Tensor | None = None,
        ignore_loss_on_o_tags: bool = False,
        metadata: Any = None,
    ) -> dict[str, Any]:
        mask = get_text_field_mask(tokens)
        embedded = self.text_field_embedder(tokens) * mask.unsqueeze(-1)
        context = embedded.sum(1, keepdim=True).tanh()
        logits = (
            self.mixing(torch.tanh(embedded + context)) + self.wanted[tokens["tokens"]["tokens"]]
        )
        outputs: dict[str, Any] = {"logits": logits, "mask": mask}
        if tags is not None:
            if ignore_loss_on_o_tags:
                mask = mask & (tags != self.vocab.get_token_index("O", "labels"))
            outputs["loss"] = sequence_cross_entropy_with_logits(
                logits, tags, mask, average=self.average
            )
        return outputs

    def make_output_human_readable(self, output_dict: dict[str, Any]) -> dict[str, Any]:
        names = self.vocab.get_index_to_token_vocabulary("labels")
        output_dict["tags"] = [
            [names[int(tag)] for tag, there in zip(row, mask, strict=True) if there]
            for row, mask in zip(output_dict["logits"].argmax(-1), output_dict["mask"], strict=True)
        ]
        return output_dict


def tagger(tags: Mapping[str, str], average: str = "batch") -> Predictor:
    vocab = Vocabulary()
    for namespace, entries in (("tokens", WORDS), ("labels", BIO)):
        for entry in entries:
            vocab.add_token_to_namespace(entry, namespace)
    reader = SequenceTaggingDatasetReader(token_indexers={"tokens": SingleIdTokenIndexer()})
    return SentenceTaggerPredictor(FixedTags(vocab, tags, average), reader)
