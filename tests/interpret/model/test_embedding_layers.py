"""Embedding layers as they come, and what is done to their outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from allennlp.data import Vocabulary
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.modules import TextFieldEmbedder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    check_field,
    check_words,
    field_of,
    sums,
    word_ids,
    words_layer,
)
from tests.zoo.unusual_models import (
    DIM,
    SHORT,
    TEXT,
    Awkward,
    awkward,
    explain,
    labeled,
    predictor_of,
    vocabulary,
    words_embedder,
)


def test_start_and_end_tokens() -> None:
    """What an indexer puts around a text belongs to none of its tokens."""
    vocab = vocabulary()
    for token in ("@start@", "@end@"):
        vocab.add_token_to_namespace(token, "tokens")
    indexer = SingleIdTokenIndexer(start_tokens=["@start@"], end_tokens=["@end@"])
    predictor = predictor_of(Awkward(vocab, words_embedder(vocab)), {"tokens": indexer})
    check_words(predictor)
    found = field_of(explain(predictor, {"tokens": TEXT}), "tokens")
    (instance,) = labeled(predictor, {"tokens": TEXT})
    by_id = sums(by_hand(predictor, instance, words_layer(predictor)))
    around = sum(by_id[vocab.get_token_index(token)] for token in ("@start@", "@end@"))
    assert found.unassigned == pytest.approx(around, rel=1e-4)
    assert around != 0


class Twice(Awkward):
    """Embeds each text a second time, for a gate."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        once = super().embed(name, tensors, depth)
        return once * torch.sigmoid(super().embed(name, tensors, depth).roll(1, dims=-1))


class InPlace(Awkward):
    """Works on its embeddings in place, on views of them too."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        embedded = super().embed(name, tensors, depth)
        embedded *= 1.5
        embedded[:, 0] += 1
        embedded.tanh_()
        return embedded


class Detached(Awkward):
    """Embeds without a graph, as frozen embedders do to save memory."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        with torch.no_grad():
            return super().embed(name, tensors, depth)


@pytest.mark.parametrize("kind", [Twice, InPlace])
def test_what_comes_after_the_embedding(kind: type[Awkward]) -> None:
    check_words(awkward(kind))


def test_embeddings_without_a_graph() -> None:
    with pytest.raises(InterpretationError, match="of Detached gives no gradient"):
        explain(awkward(Detached), {"tokens": TEXT})


class TanhEmbedding(Embedding):
    """Ends in a function whose backward pass needs its own output."""

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.tanh(super().forward(tokens))


def tanh_embedder(vocab: Vocabulary) -> BasicTextFieldEmbedder:
    return BasicTextFieldEmbedder({"tokens": TanhEmbedding(embedding_dim=DIM, vocab=vocab)})


@pytest.mark.parametrize(
    "make",
    [
        tanh_embedder,
        lambda vocab: words_embedder(vocab, projection_dim=5),
        lambda vocab: words_embedder(vocab, trainable=False),
        lambda vocab: words_embedder(vocab, padding_index=0, max_norm=1.0),
        lambda vocab: words_embedder(vocab, sparse=True, scale_grad_by_freq=True),
    ],
    ids=["tanh", "projection", "frozen", "max-norm", "sparse"],
)
def test_embedding_layers(make: Callable[[Vocabulary], TextFieldEmbedder]) -> None:
    vocab = vocabulary()
    predictor = predictor_of(Awkward(vocab, make(vocab)))
    before = {name: value.clone() for name, value in predictor._model.state_dict().items()}
    check_words(predictor)
    for name, value in predictor._model.state_dict().items():
        if name.endswith("weight") and "max_norm" not in name:
            assert value.shape == before[name].shape


class OwnEmbedder(TextFieldEmbedder):
    """A text field embedder of a user's own, without token embedders."""

    def __init__(self, vocab: Vocabulary) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab.get_vocab_size("tokens"), DIM)

    def get_output_dim(self) -> int:
        return DIM

    def forward(self, tensors: Any, num_wrapping_dims: int = 0) -> Tensor:
        return self.table(tensors["tokens"]["tokens"])


def test_a_text_field_embedder_of_ones_own() -> None:
    vocab = vocabulary()
    predictor = predictor_of(Awkward(vocab, OwnEmbedder(vocab)))
    (instance,) = labeled(predictor, {"tokens": TEXT})
    calls = by_hand(predictor, instance, predictor._model.text_field_embedder.table)
    found = field_of(explain(predictor, {"tokens": TEXT}), "tokens")
    check_field(found, calls, word_ids(predictor))
    check_batch_equals_single(predictor, [{"tokens": TEXT}, {"tokens": SHORT}], rel=1e-4)
