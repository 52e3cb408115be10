"""Predictors, built as their users would: from AllenNLP's configs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from allennlp.common import Params
from allennlp.data import DatasetReader, Vocabulary
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import nn

import allennlp_saliency.predictors  # noqa: F401  registers `text-pair`

from .transformers import ARCHITECTURES, spread, write_transformer
from .words import LABELS, SENTENCES, TAGGED, TAGS, WORDS

JsonDict = dict[str, Any]
Folders = Callable[[str], str]
"""The folder of a transformer, by its architecture."""


@dataclass(frozen=True)
class Family:
    """A kind of predictor.

    Attributes:
        config: Its `dataset_reader`, `model` and `predictor`, given transformers' folders.
        labels: What it tells apart.
        fields: Its text fields, the last-embedded first, each with the key of its text.
        seed: Seed of its own weights.
        scale: How large these are.
        sentences: Its texts, of very different lengths.
    """

    config: Callable[[Folders], JsonDict]
    labels: Sequence[str] = LABELS
    fields: tuple[tuple[str, str], ...] = (("tokens", "sentence"),)
    seed: int = 0
    scale: float = 1.0
    sentences: tuple[str, ...] = SENTENCES

    def inputs(self) -> list[JsonDict]:
        """Inputs of very different lengths, one word among them."""
        texts = self.sentences
        rotated = [texts[number:] + texts[:number] for number in range(len(self.fields))]
        keys = [key for _, key in self.fields]
        return [dict(zip(keys, some, strict=True)) for some in zip(*rotated, strict=True)]


class Zoo:
    """Builds predictors, each once.

    Args:
        folder: Where the transformers' folders go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._predictors: dict[str, Predictor] = {}

    def predictor(self, name: str) -> Predictor:
        """The predictor of a family, shared by all who ask: leave it as it is."""
        if name not in self._predictors:
            self._predictors[name] = self.build(name)
        return self._predictors[name]

    def build(self, name: str, frozen: bool = True, **model: Any) -> Predictor:
        """A predictor of one's own.

        Args:
            name: Its family.
            frozen: Whether to put the model into evaluation mode, not training mode.
            model: What to change in the model's config.
        """
        family = FAMILIES[name]
        # A copy of every part: from_params consumes what it is given.
        config = json.loads(json.dumps(family.config(self.transformer)))
        reader = DatasetReader.from_params(Params(config["dataset_reader"]))
        with torch.random.fork_rng():
            made = Model.from_params(
                Params(config["model"] | model), vocab=vocabulary(family.labels)
            )
        _spread_own(made, family.seed, family.scale)
        made.train(not frozen)
        predictor = Predictor.by_name(config["predictor"])(made, reader)
        made.train(not frozen)
        return predictor

    def inputs(self, name: str) -> list[JsonDict]:
        """What the predictors of a family read: a few words, one word, a sentence, a long one."""
        return FAMILIES[name].inputs()

    def transformer(self, architecture: str) -> str:
        """The folder of a transformer."""
        folder = self._folder / architecture
        if not folder.exists():
            write_transformer(folder, ARCHITECTURES[architecture])
        return str(folder)


def _spread_own(module: nn.Module, seed: int, scale: float) -> None:
    """Random values for all parameters but those that a transformer came with."""
    from transformers import PreTrainedModel

    if isinstance(module, PreTrainedModel):
        return
    if not any(isinstance(part, PreTrainedModel) for part in module.modules()):
        spread(module, seed, scale)
    for number, child in enumerate(module.children()):
        if any(isinstance(part, PreTrainedModel) for part in module.modules()):
            _spread_own(child, seed + number + 1, scale)


def vocabulary(labels: Sequence[str] = LABELS) -> Vocabulary:
    """The zoo's words and some labels."""
    made = Vocabulary()
    for namespace, entries in (("tokens", WORDS), ("labels", labels)):
        for entry in entries:
            made.add_token_to_namespace(entry, namespace)
    return made


# What is used in several configs below.
_WORDS_TOKENIZER = {"type": "letters_digits"}
_WORDS_INDEXER = {"type": "single_id", "lowercase_tokens": True}
_WORDS_EMBEDDER = {"type": "embedding", "embedding_dim": 8, "vocab_namespace": "tokens"}
_LSTM = {"type": "lstm", "input_size": 8, "hidden_size": 8, "bidirectional": True}
_AVERAGE = {"type": "boe", "averaged": True}


def _embedder(folders: Folders, architecture: str) -> JsonDict:
    part = _transformer(folders(architecture), mismatched=False)
    sub_module = ARCHITECTURES[architecture].sub_module
    return part if sub_module is None else {**part, "sub_module": sub_module}


def _transformer(folder: str, mismatched: bool) -> JsonDict:
    kind = "pretrained_transformer" + ("_mismatched" if mismatched else "")
    return {"type": kind, "model_name": folder}


def _classifier(
    tokenizer: JsonDict, indexers: JsonDict, embedders: JsonDict, encoder: JsonDict
) -> JsonDict:
    return {
        "dataset_reader": {
            "type": "text_classification_json",
            "text_key": "sentence",
            "tokenizer": tokenizer,
            "token_indexers": indexers,
        },
        "model": {
            "type": "basic_classifier",
            "text_field_embedder": {"token_embedders": embedders},
            "seq2vec_encoder": encoder,
            "dropout": 0.4,
            # Where the indexers keep their words: predictors look them up to name the tokens.
            "namespace": "tags" if "model_name" in next(iter(indexers.values())) else "tokens",
        },
        "predictor": "text_classifier",
    }


def words(encoder: JsonDict, min_length: int = 0) -> Callable[[Folders], JsonDict]:
    """A classifier over words."""
    indexer = {**_WORDS_INDEXER, "token_min_padding_length": min_length}

    def config(folders: Folders) -> JsonDict:
        return _classifier(
            _WORDS_TOKENIZER, {"tokens": indexer}, {"tokens": _WORDS_EMBEDDER}, encoder
        )

    return config


def matched(architecture: str) -> Callable[[Folders], JsonDict]:
    """A classifier over a transformer's own wordpieces."""
    last = ARCHITECTURES[architecture].summary == "last"

    def config(folders: Folders) -> JsonDict:
        part = _transformer(folders(architecture), mismatched=False)
        return _classifier(
            part,
            {"tokens": part},
            {"tokens": _embedder(folders, architecture)},
            {"type": "cls_pooler", "embedding_dim": 16, "cls_is_last_token": last},
        )

    return config


def mismatched(architecture: str, tokenizer: str = "letters_digits") -> Callable[..., JsonDict]:
    """A classifier over words, each the mean of its wordpieces."""

    def config(folders: Folders) -> JsonDict:
        part = _transformer(folders(architecture), mismatched=True)
        encoder = {**_AVERAGE, "embedding_dim": 16}
        return _classifier({"type": tokenizer}, {"tokens": part}, {"tokens": part}, encoder)

    return config


def beside_words(architecture: str) -> Callable[[Folders], JsonDict]:
    """A transformer and a word embedding in one text field embedder."""

    def config(folders: Folders) -> JsonDict:
        part = _transformer(folders(architecture), mismatched=True)
        return _classifier(
            _WORDS_TOKENIZER,
            {"pieces": part, "words": _WORDS_INDEXER},
            {"pieces": part, "words": _WORDS_EMBEDDER},
            {**_AVERAGE, "embedding_dim": 24},
        )

    return config


def tagger(architecture: str) -> Callable[[Folders], JsonDict]:
    """A tagger of words over a transformer or an LSTM, one instance per entity."""

    def config(folders: Folders) -> JsonDict:
        if architecture == "lstm":
            indexer, embedder, encoder = _WORDS_INDEXER, _WORDS_EMBEDDER, _LSTM
        else:
            indexer = embedder = _transformer(folders(architecture), mismatched=True)
            encoder = {"type": "pass_through", "input_dim": 16}
        return {
            "dataset_reader": {"type": "sequence_tagging", "token_indexers": {"tokens": indexer}},
            "model": {
                "type": "simple_tagger",
                "text_field_embedder": {"token_embedders": {"tokens": embedder}},
                "encoder": encoder,
                "label_encoding": "BIOUL",
            },
            "predictor": "sentence_tagger",
        }

    return config


def pair(kind: Literal["words", "bert"]) -> Callable[[Folders], JsonDict]:
    """A classifier of two text fields, over words or over a transformer's wordpieces."""

    def config(folders: Folders) -> JsonDict:
        size = 8 if kind == "words" else 16
        part = _transformer(folders("bert"), mismatched=True) if kind == "bert" else None
        layer = {"num_layers": 1, "hidden_dims": 8, "activations": "tanh"}
        return {
            "dataset_reader": {
                "type": "text-pair",
                "tokenizer": _WORDS_TOKENIZER,
                "token_indexers": {"tokens": part or _WORDS_INDEXER},
            },
            "model": {
                "type": "text-pair",
                "text_field_embedder": {"token_embedders": {"tokens": part or _WORDS_EMBEDDER}},
                "attention": {"type": "cosine"},
                "compare": {**layer, "input_dim": size},
                "aggregate": {
                    **layer,
                    "input_dim": 16,
                    "hidden_dims": len(LABELS),
                    "activations": "linear",
                },
            },
            "predictor": "text-pair",
        }

    return config


_CNN = {"type": "cnn", "embedding_dim": 8, "num_filters": 6, "ngram_filter_sizes": [2, 3]}
_PAIR = (("hypothesis", "hypothesis"), ("premise", "premise"))

# Seeds and scales: predictions differ between inputs, and no model is so sure that all is zero.
FAMILIES: dict[str, Family] = {
    "lstm": Family(words(_LSTM), seed=1, scale=2),
    "boe": Family(words({**_AVERAGE, "embedding_dim": 8}), scale=2),
    "cnn": Family(words(_CNN, min_length=3), seed=2),
    "pair": Family(pair("words"), fields=_PAIR),
    "pair-bert": Family(pair("bert"), fields=_PAIR, scale=0.5),
    "bert-and-words": Family(beside_words("bert"), seed=1, scale=2),
    "bert-mismatched": Family(mismatched("bert"), scale=2),
    "roberta-mismatched": Family(mismatched("roberta", "whitespace"), scale=2),
    "lstm-tagger": Family(tagger("lstm"), labels=TAGS, sentences=TAGGED, scale=2),
    "bert-tagger": Family(tagger("bert"), labels=TAGS, sentences=TAGGED, seed=2),
    "roberta-tagger": Family(tagger("roberta"), labels=TAGS, sentences=TAGGED),
    **{name: Family(matched(name), seed=1) for name in ARCHITECTURES},
}
