"""Semantic roles and open information extraction."""

from __future__ import annotations

from typing import Any

import allennlp_models.structured_prediction  # noqa: F401  registers its classes

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import WORDS

ROLES = ("O", "B-V", "I-V", "B-ARG0", "I-ARG0", "B-ARG1", "I-ARG1", "B-ARGM-TMP", "I-ARGM-TMP")
SENTENCES = (
    {"sentence": "Mary saw a great film ."},
    {"sentence": "awful"},
    {
        "sentence": "John knew the actor and the dog had a little book in Paris , but she lived in London ."
    },
    {"sentence": "he wrote"},
)


def _verbs(prediction: JsonDict) -> int:
    return len(prediction["verbs"])


def _instances(predictor: Any, inputs: JsonDict) -> list[Any]:
    return predictor._sentence_to_srl_instances(inputs)


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    """By the mean log-probability of the tags that the model decodes."""
    model = predictor._model
    found = []
    for instance in _instances(predictor, inputs):
        tags = model.forward_on_instance(instance)["tags"]
        indices = [model.vocab.get_token_index(tag, "labels") for tag in tags]

        def number(outputs: dict[str, Any], indices: list[int] = indices) -> list[Any]:
            chosen = outputs["class_probabilities"][0, range(len(indices)), indices]
            return [chosen.log().mean()]

        ((scores,),) = scores_of(model, model.text_field_embedder, instance, number)
        found.append(scores[0].tolist())
    return found


def _config() -> JsonDict:
    return {
        "dataset_reader": {
            "type": "srl",
            "token_indexers": {"tokens": {"type": "single_id", "lowercase_tokens": True}},
        },
        "model": {
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
        },
    }


@archive("srl-lstm", inputs=SENTENCES, count=_verbs, by_hand=_by_hand)
def srl_lstm(folders: Folders) -> Parts:
    return Parts(
        _config(),
        {"tokens": WORDS, "labels": ROLES},
        {"language": folders.language},
        scale=2.0,
    )
