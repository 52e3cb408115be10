"""Predictors whose model is a function that a test writes down, and models opened by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.batch import Batch
from allennlp.data.fields import LabelField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.models import Model
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.predictors import Predictor
from torch import Tensor, nn

from tests.zoo.unusual_models import Reader

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


@contextmanager
def in_place_of(layer: nn.Module, output: Tensor) -> Iterator[None]:
    """A layer returns a tensor of the test's."""
    handle = layer.register_forward_hook(lambda *_: output)
    try:
        yield
    finally:
        handle.remove()


def embedding_layer(predictor: Predictor) -> nn.Module:
    """What embeds the words or wordpieces of a classifier of the zoo."""
    embedder: Any = predictor._model._text_field_embedder.token_embedder_tokens
    embedder = getattr(embedder, "_matched_embedder", embedder)
    transformer = getattr(embedder, "transformer_model", None)
    return embedder if transformer is None else transformer.get_input_embeddings()


@dataclass
class Opened:
    """A classifier of the zoo as a function of the embeddings of one text.

    Attributes:
        predictor: The classifier.
        indices: What its embedding layer takes, `(1, positions)`.
        x: What that returns, `(positions, dim)`.
        special: Positions that the tokenizer added, `(positions,)`.
        spans: First and last position of each token.
        label: The prediction.
    """

    predictor: Predictor
    indices: Tensor
    x: Tensor
    special: Tensor
    spans: list[tuple[int, int]]
    label: int
    _tensors: dict[str, Tensor]

    @classmethod
    def of(cls, predictor: Predictor, text: str) -> Opened:
        instance = predictor._json_to_instance({"sentence": text})
        predictor._dataset_reader.apply_token_indexers(instance)
        batch = Batch([instance])
        batch.index_instances(predictor._model.vocab)
        tensors: Any = batch.as_tensor_dict()["tokens"]["tokens"]
        indices = tensors["token_ids"] if "token_ids" in tensors else tensors["tokens"]
        x = embedding_layer(predictor)(indices).detach()[0]
        if "offsets" in tensors:
            spans = [(int(a), int(b)) for a, b in tensors["offsets"][0]]
            covered = {position for a, b in spans for position in range(a, b + 1)}
            special = torch.tensor([position not in covered for position in range(len(x))])
        else:
            spans = [(position, position) for position in range(len(x))]
            added = ("[CLS]", "[SEP]", "<s>", "</s>")
            special = torch.tensor([token.text in added for token in instance["tokens"]])
        made = cls(predictor, indices, x, special, spans, -1, tensors)
        made.label = int(made.logits(x[None])[0].argmax())
        return made

    def logits(self, points: Tensor) -> Tensor:
        """`(rows, classes)` for other embeddings, `(rows, positions, dim)`."""
        with in_place_of(embedding_layer(self.predictor), points):
            return self.of_indices(self.indices.expand(len(points), -1))

    def of_indices(self, indices: Tensor) -> Tensor:
        """`(rows, classes)` for other indices, `(rows, positions)`."""
        rows = {
            name: tensor.repeat(len(indices), *[1] * (tensor.dim() - 1))
            for name, tensor in self._tensors.items()
        }
        key = "token_ids" if "token_ids" in rows else "tokens"
        return self.predictor._model(tokens={"tokens": rows | {key: indices}})["logits"]

    def value(self, points: Tensor) -> Tensor:
        """The log-likelihood of the prediction, `(rows,)`."""
        return self.logits(points).log_softmax(-1)[:, self.label]


__all__ = [
    "PADDING",
    "UNKNOWN",
    "FunctionModel",
    "Opened",
    "embedding_layer",
    "in_place_of",
    "predictor_of",
    "spread_vectors",
]
