"""Predictors whose model is a function that a test writes down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.fields import LabelField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.models import Model
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.predictors import Predictor
from torch import Tensor

from tests.interpret.awkward_models import Reader

Vectors = Mapping[str, Sequence[float]]
PADDING, UNKNOWN = "@@PADDING@@", "@@UNKNOWN@@"


class FunctionModel(Model):
    """logits = function(embeddings).

    Args:
        vocab: The vocabulary.
        matrix: A vector per word, `(words, dim)`.
        function: Maps `(rows, positions, dim)` to `(rows, classes)`.
        losses: Makes the batch's loss of logits and labels.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        matrix: Tensor,
        function: Callable[[Tensor], Tensor],
        losses: Callable[[Tensor, Tensor], Tensor] = torch.nn.functional.cross_entropy,
    ) -> None:
        super().__init__(vocab)
        words = Embedding(matrix.shape[1], num_embeddings=len(matrix), weight=matrix.clone())
        self.text_field_embedder = BasicTextFieldEmbedder({"tokens": words})
        self.function = function
        self.losses = losses

    def forward(
        self, tokens: dict[str, dict[str, Tensor]], label: Tensor | None = None
    ) -> dict[str, Tensor]:
        logits = self.function(self.text_field_embedder(tokens))
        outputs = {"logits": logits}
        if label is not None:
            outputs["loss"] = self.losses(logits, label)
        return outputs


class FunctionPredictor(Predictor):
    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        return self._dataset_reader.text_to_instance(tokens=json_dict["sentence"])

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        labeled = instance.duplicate()
        if len(outputs["logits"]) > 1:
            best = int(np.argmax(outputs["logits"]))
            labeled.add_field("label", LabelField(best, skip_indexing=True))
        return [labeled]


def predictor_of(
    function: Callable[[Tensor], Tensor],
    vectors: Vectors,
    labels: Sequence[str] = ("no", "yes"),
    dtype: torch.dtype = torch.float32,
    **model: Any,
) -> FunctionPredictor:
    """A predictor of a function of the words' vectors.

    Args:
        function: Maps `(rows, positions, dim)` to `(rows, classes)`.
        vectors: The words, and maybe `PADDING` and `UNKNOWN`, which are zero otherwise.
        labels: The classes' names.
        dtype: The type of the vectors.
        model: What else `FunctionModel` takes.
    """
    vocab = Vocabulary()
    for word in vectors:
        vocab.add_token_to_namespace(word, "tokens")
    for label in labels:
        vocab.add_token_to_namespace(label, "labels")
    dim = len(next(iter(vectors.values())))
    matrix = torch.zeros(vocab.get_vocab_size("tokens"), dim, dtype=dtype)
    for word, vector in vectors.items():
        matrix[vocab.get_token_index(word)] = torch.tensor(vector, dtype=dtype)
    made = FunctionModel(vocab, matrix, function, **model).to(dtype).eval()
    reader = Reader({"tokens": SingleIdTokenIndexer()}, WhitespaceTokenizer())
    return FunctionPredictor(made, reader)


def spread_vectors(words: Sequence[str], dim: int, seed: int = 0) -> dict[str, list[float]]:
    """Random vectors for some words."""
    generator = torch.Generator().manual_seed(seed)
    return {word: torch.randn(dim, generator=generator).tolist() for word in words}


__all__ = ["PADDING", "UNKNOWN", "FunctionModel", "predictor_of", "spread_vectors"]
