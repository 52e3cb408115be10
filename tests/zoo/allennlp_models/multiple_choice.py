"""Multiple choice, by the readers of three data sets."""

from __future__ import annotations

from math import exp, log
from typing import Any

import allennlp_models.mc.dataset_readers
import allennlp_models.mc.models
import allennlp_models.mc.predictors  # noqa: F401  registers their classes

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of

QUESTIONS = (
    {"prefix": "john saw the film in paris", "alternatives": ["a great plot !", "mary"]},
    {"prefix": "awful", "alternatives": ["it was", "the good actor", "so little london"]},
)


def _one(prediction: JsonDict) -> int:
    return 1


def _expected(prediction: JsonDict) -> list[float]:
    logits = prediction["logits"]
    return [max(logits) - log(sum(map(exp, logits)))]


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    """By minus the model's own loss; the scores of each alternative, one after the other."""
    model = predictor._model
    instance = predictor._dataset_reader.text_to_instance(
        "", inputs["prefix"], inputs["alternatives"], 0
    )
    best = int(model.forward_on_instance(instance)["best_alternative"])
    instance = predictor._dataset_reader.text_to_instance(
        "", inputs["prefix"], inputs["alternatives"], best
    )
    layer = model._text_field_embedder.token_embedder_tokens.transformer_model
    (((scores),),) = scores_of(
        model, layer.get_input_embeddings(), instance, lambda outputs: [-outputs["loss"]]
    )
    lengths = [len(text.tokens) for text in instance["alternatives"]]
    rows = zip(scores.tolist(), lengths, strict=True)
    return [[score for row, length in rows for score in row[:length]]]


def _parts(folders: Folders, reader: str, transformer: str) -> Parts:
    folder = folders.transformer(transformer)
    return Parts(
        {
            "dataset_reader": {"type": reader, "transformer_model_name": folder},
            "model": {"type": "transformer_mc", "transformer_model": folder},
        }
    )


_ABOUT: JsonDict = {
    "each": "question",
    "inputs": QUESTIONS,
    "count": _one,
    "expected": _expected,
    "by_hand": _by_hand,
}


@archive("choices-piqa", **_ABOUT)
def piqa(folders: Folders) -> Parts:
    return _parts(folders, "piqa", "bert")


@archive("choices-swag", **_ABOUT)
def swag(folders: Folders) -> Parts:
    return _parts(folders, "swag", "roberta")


@archive("choices-commonsenseqa", **_ABOUT)
def commonsenseqa(folders: Folders) -> Parts:
    return _parts(folders, "commonsenseqa", "bert")
