"""Semantic roles and open information extraction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import allennlp_models.structured_prediction  # noqa: F401  registers its classes
from allennlp.data import Instance
from allennlp.data.fields import SequenceLabelField
from allennlp_models.structured_prediction.predictors import OpenIePredictor

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import WORDS

ROLES = ("O", "B-V", "I-V", "B-ARG0", "I-ARG0", "B-ARG1", "I-ARG1", "B-ARGM-TMP", "I-ARGM-TMP")
SENTENCES = (
    {"sentence": "Mary saw a great film ."},
    {"sentence": "awful"},
    {"sentence": "John knew the actor and the dog had a little book in Paris , but she lived ."},
    {"sentence": "he wrote"},
)


VERBS = ("saw", "knew", "had", "lived", "wrote")


def _verbs(prediction: JsonDict) -> int:
    return sum(word.lower() in VERBS for word in map(str, prediction["words"]))


def _labelled(predictor: Any, inputs: JsonDict) -> Iterator[Instance]:
    """Instances that carry what the model decodes for each verb."""
    if isinstance(predictor, OpenIePredictor):
        tokens = predictor._tokenizer.tokenize(inputs["sentence"])
        places = [n for n, token in enumerate(tokens) if token.text.lower() in VERBS]
        asked = [{"sentence": tokens, "predicate_index": place} for place in places]
        instances = [predictor._json_to_instance(one) for one in asked]
    else:
        instances = predictor._sentence_to_srl_instances(inputs)
    model = predictor._model
    for instance in instances:
        decoded = model.forward_on_instance(instance)
        tags = decoded.get("wordpiece_tags", decoded["tags"])
        instance["metadata"].metadata["gold_tags"] = decoded["tags"]
        instance.add_field("tags", SequenceLabelField(tags, instance["tokens"]), model.vocab)
        yield instance


def _values(predictor: Any, inputs: JsonDict) -> list[float]:
    """Minus the model's own loss."""
    model = predictor._model
    return [-model.forward_on_instance(one)["loss"] for one in _labelled(predictor, inputs)]


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    """By minus the model's own loss."""
    model = predictor._model
    layer = getattr(model, "text_field_embedder", None) or model.bert_model.embeddings
    layer = getattr(layer, "word_embeddings", layer)
    found = []
    for instance in _labelled(predictor, inputs):
        ((scores,),) = scores_of(model, layer, instance, lambda outputs: [-outputs["loss"]])
        found.append(scores[0].tolist())
    return found


_READER: JsonDict = {
    "type": "srl",
    "token_indexers": {"tokens": {"type": "single_id", "lowercase_tokens": True}},
}


def _lstm() -> JsonDict:
    return {
        "type": "srl",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 8}}
        },
        "encoder": {
            "type": "alternating_lstm",
            "input_size": 12,
            "hidden_size": 8,
            "num_layers": 2,
        },
        "binary_feature_dim": 4,
        "srl_eval_path": None,
    }


_ABOUT: JsonDict = {
    "each": "predicate",
    "inputs": SENTENCES,
    "count": _verbs,
    "values": _values,
    "by_hand": _by_hand,
}


@archive("srl-lstm", **_ABOUT)
def srl_lstm(folders: Folders) -> Parts:
    return Parts(
        {"dataset_reader": _READER, "model": _lstm()},
        {"tokens": WORDS, "labels": ROLES},
        {"language": folders.language},
        scale=2.0,
    )


@archive("srl-bert", **_ABOUT)
def srl_bert(folders: Folders) -> Parts:
    bert = folders.transformer("bert")
    return Parts(
        {
            "dataset_reader": {"type": "srl", "bert_model_name": bert},
            "model": {"type": "srl_bert", "bert_model": bert, "srl_eval_path": None},
        },
        {"labels": ROLES},
        {"language": folders.language},
    )


@archive("open-information", predictor="open_information_extraction", **_ABOUT)
def open_information(folders: Folders) -> Parts:
    return Parts(
        {"dataset_reader": _READER, "model": {**_lstm(), "ignore_span_metric": True}},
        {"tokens": WORDS, "labels": ROLES},
        {"language": folders.language},
        seed=1,
        scale=2.0,
    )
