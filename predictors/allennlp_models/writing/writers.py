"""How the sequence-to-sequence models of allennlp-models write: where their parts are, and how
their predictions are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

import numpy
from allennlp.common.util import END_SYMBOL, START_SYMBOL
from allennlp.data import Instance, Vocabulary
from allennlp.data.fields import MetadataField
from allennlp.data.tokenizers import Token
from allennlp.models import Model

from allennlp_saliency.interpret.model.embedding_layers import (
    EmbeddingLayer,
    EmbeddingLayers,
    layers_of,
)

from .. import kinds_of


@dataclass(frozen=True)
class Writer:
    """One kind of model; dotted paths lead from it to its parts.

    Attributes:
        search: The path of its beam search.
        source: The path of the module that embeds the source.
        embedding: The path of the layer that embeds what the decoder reads.
        head: The path of the module that returns the logits of a step; None where a token has no
            single logit.
        start: The path of the id that the decoder reads first.
        namespace: The path of the namespace of the vocabulary that names the ids; None for
            "tokens".
        own_tokenizer: The path of the Hugging Face tokenizer of a model that embeds ids itself.
        score: The output that holds the scores of the texts.
        targets: The fields that a reader adds where it knows the target.
        copies: Whether ids behind the vocabulary are places in the source.
    """

    search: str = "_beam_search"
    source: str = "_source_embedder"
    embedding: str = "_target_embedder"
    head: str | None = "_output_projection_layer"
    start: str = "_start_index"
    namespace: str | None = "_target_namespace"
    own_tokenizer: str | None = None
    score: str = "class_log_probabilities"
    targets: tuple[str, ...] = ("target_tokens",)
    copies: bool = False

    def ids(self, model: Model, outputs: Mapping[str, Any]) -> list[int]:
        """The ids of the best text, with the one that ends it, if the search reached it."""
        ids = [int(one) for one in numpy.atleast_2d(outputs["predictions"])[0]]
        end = part(model, self.search)._end_index
        return ids[: ids.index(end) + 1] if end in ids else ids

    def score_of(self, outputs: Mapping[str, Any]) -> float:
        """The score that the search gave the best text."""
        return float(numpy.atleast_1d(outputs[self.score])[0])

    def namespace_of(self, model: Model) -> str:
        """The namespace of the vocabulary that names the ids."""
        return "tokens" if self.namespace is None else part(model, self.namespace)

    def tokenizer(self, model: Model) -> Any:
        """The Hugging Face tokenizer of what it writes, or what stands for one."""
        if self.own_tokenizer is not None:
            return part(model, self.own_tokenizer)
        return VocabularyTokenizer(model.vocab, self.namespace_of(model))

    def first(self, model: Model) -> Token:
        """What the decoder reads first."""
        number = part(model, self.start)
        own = self.own_tokenizer is not None
        name = self.tokenizer(model).convert_ids_to_tokens(number) if own else START_SYMBOL
        return Token(name, text_id=number)

    def token(self, model: Model, instance: Instance, number: int) -> Token:
        """The token of a predicted id; its `text_id` is what the decoder reads next."""
        parts: Any = model
        if self.copies and number >= parts._target_vocab_size:
            known: Any = cast(MetadataField, instance["metadata"]).metadata
            name = known["source_tokens"][number - parts._target_vocab_size]
            return Token(name, text_id=parts._copy_index)
        return Token(self.tokenizer(model).convert_ids_to_tokens(number), text_id=number)

    def layers(self, model: Model) -> EmbeddingLayers:
        """The layers that embed the source, and what the decoder reads."""
        source, target = part(model, self.source), part(model, self.embedding)
        bare = self.own_tokenizer is not None
        layers = [EmbeddingLayer(source, "tokens")] if bare else layers_of(source)
        if all(layer.module is not target for layer in layers):
            layers.append(EmbeddingLayer(target, "tokens"))
        return EmbeddingLayers(tuple(dict.fromkeys((source, target))), tuple(layers))


_MODELS = "allennlp_models.generation.models"
_WRITERS = {
    f"{_MODELS}.simple_seq2seq.SimpleSeq2Seq": Writer(),
    f"{_MODELS}.composed_seq2seq.ComposedSeq2Seq": Writer(
        search="_decoder._beam_search",
        source="_source_text_embedder",
        embedding="_decoder.target_embedder",
        head="_decoder._output_projection_layer",
        start="_decoder._start_index",
        namespace="_decoder._target_namespace",
    ),
    # The probability of a token is the sum of those of writing and of copying it.
    f"{_MODELS}.copynet_seq2seq.CopyNetSeq2Seq": Writer(
        head=None,
        score="predicted_log_probs",
        targets=("target_tokens", "target_token_ids", "weight"),
        copies=True,
    ),
    f"{_MODELS}.bart.Bart": Writer(
        source="bart.model.encoder.embed_tokens",
        embedding="bart.model.decoder.embed_tokens",
        head="bart",
        start="_decoder_start_id",
        namespace="_indexer._namespace",
        own_tokenizer="_indexer._tokenizer",
        score="log_probabilities",
    ),
    f"{_MODELS}.t5.T5": Writer(
        search="t5.beam_search",
        source="t5.encoder.token_embeddings",
        embedding="t5.decoder.token_embeddings",
        head="t5.lm_head",
        start="t5.decoder_start_token_id",
        namespace=None,
        own_tokenizer="tokenizer.tokenizer",
        score="predicted_log_probs",
    ),
}


def writer_of(model: Model) -> Writer | None:
    """How a model writes, by its class or one that it is derived from; None if that is unknown."""
    return next((_WRITERS[kind] for kind in kinds_of(model) if kind in _WRITERS), None)


def part(model: Any, path: str) -> Any:
    """What stands at a dotted path in a model; the model itself at the empty one."""
    return attrgetter(path)(model) if path else model


class VocabularyTokenizer:
    """The words that a decoder writes, for what asks a Hugging Face tokenizer: token indexers and
    baselines.

    Args:
        vocab: The vocabulary.
        namespace: The namespace that has the decoder's words.

    Attributes:
        bos_token_id, eos_token_id, pad_token_id, unk_token_id: The ids that begin, end and fill up
            a text, and that of unknown words; None where there is none.
    """

    def __init__(self, vocab: Vocabulary, namespace: str) -> None:
        self._vocab = vocab
        self._namespace = namespace
        known = self.get_vocab()
        self.bos_token_id, self.eos_token_id = known.get(START_SYMBOL), known.get(END_SYMBOL)
        self.pad_token_id = known.get(vocab._padding_token)
        self.unk_token_id = known.get(vocab._oov_token)

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        """The ids of a text's words, which stand between spaces, as `input_ids`."""
        words = text.split()
        return {"input_ids": [self._vocab.get_token_index(w, self._namespace) for w in words]}

    def get_vocab(self) -> dict[str, int]:
        """The ids of all words."""
        return self._vocab.get_token_to_index_vocabulary(self._namespace)

    def convert_ids_to_tokens(self, number: int) -> str:
        """The word of an id."""
        return self._vocab.get_token_from_index(number, self._namespace)
