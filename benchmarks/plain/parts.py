"""What contestants share that are given the label and the wordpieces for nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from allennlp.data import Batch
from allennlp.predictors import Predictor
from torch import Tensor, nn

from ..case import Scores, normalized
from ..workloads import Texts


@dataclass(frozen=True)
class Encoded:
    """Texts as a BERT takes them, with what the model predicts for them.

    Attributes:
        ids: Wordpieces, `(texts, positions)`.
        mask: Whether they are there, `(texts, positions)`.
        labels: Index of the predicted class, `(texts,)`.
    """

    ids: Tensor
    mask: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Parts:
    """The parts of AllenNLP's classifier."""

    transformer: nn.Module
    word_embeddings: nn.Embedding
    classify: nn.Module

    @classmethod
    def of(cls, predictor: Predictor) -> Parts:
        """Takes a predictor's model apart; its parameters will need no gradient."""
        model: Any = predictor._model
        model.requires_grad_(False)
        transformer = model._text_field_embedder.token_embedder_tokens.transformer_model
        return cls(transformer, transformer.get_input_embeddings(), model._classification_layer)

    def log_probabilities(self, mask: Tensor | None, **given: Tensor) -> Tensor:
        """`(rows, classes)`, for `input_ids` or `inputs_embeds`."""
        hidden = self.transformer(attention_mask=mask, **given).last_hidden_state
        return self.classify(hidden[:, 0]).log_softmax(-1)


def encode(predictor: Predictor, texts: Texts, batches: Iterable[list[int]]) -> list[Encoded]:
    """Reads, pads and predicts texts.

    Args:
        predictor: The predictor, which does all this.
        texts: The inputs.
        batches: Numbers of the texts that share a batch.
    """
    return [_encode(predictor, [texts[number] for number in batch]) for batch in batches]


def _encode(predictor: Predictor, texts: list[dict[str, str]]) -> Encoded:
    model = predictor._model
    batch = Batch([predictor._json_to_instance(text) for text in texts])
    for instance in batch.instances:
        predictor._dataset_reader.apply_token_indexers(instance)
    batch.index_instances(model.vocab)
    device = next(model.parameters()).device
    text: Any = batch.as_tensor_dict()["tokens"]
    tokens = {name: tensor.to(device) for name, tensor in text["tokens"].items()}
    with torch.no_grad():
        labels = model(tokens={"tokens": tokens})["logits"].argmax(-1)
    return Encoded(tokens["token_ids"], tokens["mask"], labels)


def by_length(predictor: Predictor, texts: Texts, size: int, padded: bool) -> list[list[int]]:
    """Numbers of texts in batches of similar or, if not `padded`, of equal length."""
    fields: list[Any] = [predictor._json_to_instance(text)["tokens"] for text in texts]
    lengths = [len(field.tokens) for field in fields]
    batches: list[list[int]] = []
    for number in sorted(range(len(texts)), key=lambda number: lengths[number]):
        last = batches[-1] if batches else []
        fits = bool(last) and (padded or lengths[last[0]] == lengths[number])
        if fits and len(last) < size:
            last.append(number)
        else:
            batches.append([number])
    return batches


def in_order(batches: list[list[int]], encoded: list[Encoded], scores: list[Tensor]) -> Scores:
    """The scores of batches, `(texts, positions)` each, by text, normalised and unpadded."""
    result: dict[int, list[float]] = {}
    for batch, one, of_batch in zip(batches, encoded, scores, strict=True):
        rows = zip(batch, of_batch.tolist(), one.mask.sum(1).tolist(), strict=True)
        result |= {number: normalized(row[:length]) for number, row, length in rows}
    return [result[number] for number in range(len(result))]
