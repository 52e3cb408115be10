"""Classifiers of texts and of pairs of texts, whatever they call their scores."""

from __future__ import annotations

from math import log
from typing import Any

import allennlp_models.classification
import allennlp_models.pair_classification  # noqa: F401  registers its classes

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import WORDS

LABELS = ("entailment", "contradiction", "neutral")
PAIRS = (
    {"premise": "Mary saw a great film in Paris .", "hypothesis": "she saw it"},
    {"premise": "awful", "hypothesis": "the actor and the dog had a little book , but no plot"},
)
TEXTS = ({"sentence": "Mary saw a great film in Paris ."}, {"sentence": "awful"})
_WORDS: JsonDict = {
    "tokenizer": {"type": "whitespace"},
    "token_indexers": {"tokens": {"type": "single_id", "lowercase_tokens": True}},
}
_EMBEDDER: JsonDict = {"token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 8}}}
_VOCABULARY = {"tokens": WORDS, "labels": LABELS}


def _one(prediction: JsonDict) -> int:
    return 1


def _expected(prediction: JsonDict) -> list[float]:
    """The logarithm of the highest probability, whatever its name."""
    names = ("probs", "label_probs", "class_probabilities")
    (probabilities,) = (prediction[name] for name in names if name in prediction)
    return [log(max(probabilities))]


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    """By the highest logit's log-probability; the last-embedded field first."""
    model = predictor._model
    instance = predictor._json_to_instance(inputs)
    predictor._dataset_reader.apply_token_indexers(instance)

    def numbers(outputs: dict[str, Any]) -> list[Any]:
        logits = outputs["label_logits" if "label_logits" in outputs else "logits"]
        return [logits.log_softmax(-1).max()]

    embedder = getattr(model, "text_field_embedder", None) or model._text_field_embedder
    embedder = embedder.token_embedder_tokens
    if hasattr(embedder, "transformer_model"):
        embedder = embedder.transformer_model.get_input_embeddings()
    (calls,) = scores_of(model, embedder, instance, numbers)
    return [[score for call in reversed(calls) for score in call[0].tolist()]]


_ABOUT: JsonDict = {
    "each": "pair of texts",
    "inputs": PAIRS,
    "count": _one,
    "expected": _expected,
    "by_hand": _by_hand,
    "tokens_labelled": False,
}


def _forward(size: int, *sizes: int) -> JsonDict:
    activations = ["tanh"] * (len(sizes) - 1) + ["linear"]
    layers: JsonDict = {"input_dim": size, "num_layers": len(sizes)}
    return {**layers, "hidden_dims": list(sizes), "activations": activations}


def _lstm(size: int, hidden: int) -> JsonDict:
    return {"type": "lstm", "input_size": size, "hidden_size": hidden, "bidirectional": True}


@archive("decomposable-attention", **_ABOUT)
def decomposable_attention(folders: Folders) -> Parts:
    model = {
        "type": "decomposable_attention",
        "text_field_embedder": _EMBEDDER,
        "attend_feedforward": _forward(8, 8),
        "matrix_attention": {"type": "dot_product"},
        "compare_feedforward": _forward(16, 8),
        "aggregate_feedforward": _forward(16, 3),
    }
    return Parts({"dataset_reader": {"type": "snli", **_WORDS}, "model": model}, _VOCABULARY)


@archive("esim", **_ABOUT)
def esim(folders: Folders) -> Parts:
    model = {
        "type": "esim",
        "text_field_embedder": _EMBEDDER,
        "encoder": _lstm(8, 4),
        "matrix_attention": {"type": "dot_product"},
        "projection_feedforward": _forward(32, 8),
        "inference_encoder": _lstm(8, 4),
        "output_feedforward": _forward(32, 8),
        "output_logit": _forward(8, 3),
    }
    return Parts({"dataset_reader": {"type": "snli", **_WORDS}, "model": model}, _VOCABULARY)


# What it matches is the angle between vectors, which jumps where one of them is zero: at the
# baseline.
@archive("bimpm", predictor="textual_entailment", continuous=False, **_ABOUT)
def bimpm(folders: Folders) -> Parts:
    def matcher(size: int, forward: bool | None) -> JsonDict:
        own = {"hidden_dim": size, "num_perspectives": 2}
        return own if forward is None else {**own, "is_forward": forward}

    word = {**matcher(8, None), "with_full_match": False}
    model = {
        "type": "bimpm",
        "text_field_embedder": _EMBEDDER,
        "matcher_word": word,
        "encoder1": _lstm(8, 4),
        "matcher_forward1": matcher(4, True),
        "matcher_backward1": matcher(4, False),
        "encoder2": _lstm(8, 4),
        "matcher_forward2": matcher(4, True),
        "matcher_backward2": matcher(4, False),
        "aggregator": _lstm(72, 4),
        "classifier_feedforward": _forward(16, 8, 3),
    }
    reader = {"type": "quora_paraphrase", **_WORDS}
    return Parts({"dataset_reader": reader, "model": model}, _VOCABULARY)


@archive("roberta-snli", predictor="textual_entailment", **_ABOUT)
def roberta_snli(folders: Folders) -> Parts:
    """As AllenNLP's public cards for SNLI and MNLI: a `basic_classifier` that reads both texts as
    one."""
    roberta = folders.transformer("roberta")
    part = {"type": "pretrained_transformer", "model_name": roberta}
    reader = {
        "type": "snli",
        "tokenizer": {**part, "add_special_tokens": False},
        "token_indexers": {"tokens": part},
    }
    model = {
        "type": "basic_classifier",
        "text_field_embedder": {"token_embedders": {"tokens": part}},
        "seq2vec_encoder": {"type": "cls_pooler", "embedding_dim": 16},
        "namespace": "tags",
    }
    return Parts({"dataset_reader": reader, "model": model}, {"labels": LABELS})


@archive(
    "biattentive-classifier",
    predictor="text_classifier",
    **{**_ABOUT, "each": "text", "inputs": TEXTS},
)
def biattentive_classifier(folders: Folders) -> Parts:
    model = {
        "type": "bcn",
        "text_field_embedder": _EMBEDDER,
        "embedding_dropout": 0.2,
        "pre_encode_feedforward": _forward(8, 8),
        "encoder": _lstm(8, 4),
        "integrator": _lstm(24, 4),
        "integrator_dropout": 0.1,
        "output_layer": _forward(32, 3),
    }
    reader = {"type": "sst_tokens", **_WORDS}
    return Parts({"dataset_reader": reader, "model": model}, _VOCABULARY)
