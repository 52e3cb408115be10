"""How the sequence-to-sequence models of allennlp-models write: where their parts are, and how
their predictions are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy
from allennlp.common.util import START_SYMBOL
from allennlp.data import Instance
from allennlp.data.fields import MetadataField
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from torch import nn

from allennlp_saliency.interpret.model.embedding_layers import (
    EmbeddingLayer,
    EmbeddingLayers,
    layers_of,
)

from ..kinds import kinds_of
from .vocabulary_tokenizer import VocabularyTokenizer


@dataclass(frozen=True)
class Written:
    """What a model predicted for an input.

    Attributes:
        ids: The ids of the best text, with the one that ends it, if it got so far.
        score: What the beam search says of it.
    """

    ids: list[int]
    score: float


class Writer:
    """One kind of model; paths lead from it to its parts.

    Attributes:
        search: The path of its beam search.
        embedding: The path of the layer that embeds what the decoder reads.
        head: The path of the module that returns the logits of a step; None where a token has no
            single logit.
        score: The output that holds the scores of the texts.
        targets: The fields that a reader adds where it knows the target.
    """

    search: ClassVar[str] = "_beam_search"
    embedding: ClassVar[str] = "_target_embedder"
    head: ClassVar[str | None] = "_output_projection_layer"
    score: ClassVar[str] = "class_log_probabilities"
    targets: ClassVar[tuple[str, ...]] = ("target_tokens",)

    def written(self, model: Model, outputs: Mapping[str, Any]) -> Written:
        """The best text by the model's outputs for one input."""
        ids = [int(one) for one in numpy.atleast_2d(outputs["predictions"])[0]]
        end = part(model, self.search)._end_index
        if end in ids:
            ids = ids[: ids.index(end) + 1]
        return Written(ids, self.score_of(outputs))

    def score_of(self, outputs: Mapping[str, Any]) -> float:
        """What the search says of the best text."""
        return float(numpy.atleast_1d(outputs[self.score])[0])

    def namespace(self, model: Model) -> str:
        """The namespace of the vocabulary that names the ids."""
        return part(model, self.embedding.rpartition(".")[0])._target_namespace

    def tokenizer(self, model: Model) -> Any:
        """The Hugging Face tokenizer of what it writes, or what stands for one."""
        return VocabularyTokenizer(model.vocab, self.namespace(model))

    def start(self, model: Model) -> Token:
        """What the decoder reads first."""
        index = part(model, self.embedding.rpartition(".")[0])._start_index
        return Token(START_SYMBOL, text_id=index)

    def token(self, model: Model, instance: Instance, number: int) -> Token:
        """The token of a predicted id; its `text_id` is what the decoder reads next."""
        name = self.tokenizer(model).convert_ids_to_tokens(number)
        return Token(name, text_id=number)

    def layers(self, model: Model) -> EmbeddingLayers:
        """The layers that embed the source, and what the decoder reads."""
        source: nn.Module = part(model, "_source_embedder")
        return self._beside(source, model)

    def _beside(self, source: nn.Module, model: Model) -> EmbeddingLayers:
        target = part(model, self.embedding)
        layers = layers_of(source)
        if all(layer.module is not target for layer in layers):
            layers.append(EmbeddingLayer(target, "tokens"))
        return EmbeddingLayers((source, target), tuple(layers))


class ComposedWriter(Writer):
    """`composed_seq2seq`: the decoder is a module of its own."""

    search = "_decoder._beam_search"
    embedding = "_decoder.target_embedder"
    head = "_decoder._output_projection_layer"

    def layers(self, model: Model) -> EmbeddingLayers:
        source: nn.Module = part(model, "_source_text_embedder")
        return self._beside(source, model)


class CopyNetWriter(Writer):
    """`copynet_seq2seq`: ids behind the vocabulary are places in the source, and the probability of
    a token is the sum of those of writing and of copying it."""

    head = None
    score = "predicted_log_probs"
    targets = ("target_tokens", "target_token_ids", "weight")

    def token(self, model: Model, instance: Instance, number: int) -> Token:
        parts: Any = model
        copied = number - parts._target_vocab_size
        if copied < 0:
            return super().token(model, instance, number)
        metadata = instance["metadata"]
        assert isinstance(metadata, MetadataField)
        known: Any = metadata.metadata
        return Token(known["source_tokens"][copied], text_id=parts._copy_index)


class BartWriter(Writer):
    """`bart`: a Hugging Face model, which brings its tokenizer."""

    embedding = "bart.model.decoder.embed_tokens"
    head = "bart"
    score = "log_probabilities"

    def namespace(self, model: Model) -> str:
        return part(model, "_indexer")._namespace

    def tokenizer(self, model: Model) -> Any:
        return part(model, "_indexer")._tokenizer

    def start(self, model: Model) -> Token:
        return self._read(model, part(model, "_decoder_start_id"))

    def layers(self, model: Model) -> EmbeddingLayers:
        return _by_ids(part(model, "bart.model.encoder.embed_tokens"), part(model, self.embedding))

    def _read(self, model: Model, number: int) -> Token:
        return Token(self.tokenizer(model).convert_ids_to_tokens(number), text_id=number)


class T5Writer(BartWriter):
    """`t5`: AllenNLP's own implementation."""

    search = "t5.beam_search"
    embedding = "t5.decoder.token_embeddings"
    head = "t5.lm_head"
    score = "predicted_log_probs"

    def namespace(self, model: Model) -> str:
        return "tokens"

    def tokenizer(self, model: Model) -> Any:
        return part(model, "tokenizer").tokenizer

    def start(self, model: Model) -> Token:
        return self._read(model, part(model, "t5.decoder_start_token_id"))

    def layers(self, model: Model) -> EmbeddingLayers:
        return _by_ids(part(model, "t5.encoder.token_embeddings"), part(model, self.embedding))


_MODELS = "allennlp_models.generation.models"
_WRITERS: dict[str, type[Writer]] = {
    f"{_MODELS}.simple_seq2seq.SimpleSeq2Seq": Writer,
    f"{_MODELS}.composed_seq2seq.ComposedSeq2Seq": ComposedWriter,
    f"{_MODELS}.copynet_seq2seq.CopyNetSeq2Seq": CopyNetWriter,
    f"{_MODELS}.bart.Bart": BartWriter,
    f"{_MODELS}.t5.T5": T5Writer,
}


def writer_of(model: Model) -> Writer | None:
    """How a model writes, by its class or one that it is derived from; None if that is unknown."""
    found = next((_WRITERS[kind] for kind in kinds_of(model) if kind in _WRITERS), None)
    return None if found is None else found()


def part(model: Any, path: str) -> Any:
    """What stands at a dotted path in a model; the model itself at the empty one."""
    for name in filter(None, path.split(".")):
        model = getattr(model, name)
    return model


def _by_ids(*modules: nn.Module) -> EmbeddingLayers:
    """Layers that embed ids themselves, each once."""
    own = tuple({id(one): one for one in modules}.values())
    return EmbeddingLayers(own, tuple(EmbeddingLayer(one, "tokens") for one in own))
