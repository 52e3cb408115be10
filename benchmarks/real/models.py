"""The two models as predictors, and the layers that are looked at inside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from allennlp_saliency.predictors import TransformersPredictor

from . import fetch, language_model, sentiment, texts
from .sentiment import rated_texts, split


@dataclass(frozen=True)
class RealModel:
    """A model and what of it is explained.

    Attributes:
        name: What it is called in file names.
        title: What it is called on the page.
        folder: Its folder.
        predictor: Its predictor.
        inputs: Sentences or prompts.
        layer: A block in its middle, by its dotted name.
    """

    name: str
    title: str
    folder: Path
    predictor: TransformersPredictor
    inputs: list[dict[str, str]]
    layer: str


def classifier(out: Path = fetch.OUT) -> RealModel:
    """MiniLM, fine-tuned as a classifier of sentiment."""
    folder = sentiment.build(out)
    _, held_out = split(rated_texts(fetch.ratings(out)))
    return RealModel(
        "minilm",
        "MiniLM (6 layers, 22 M parameters), a classifier of sentiment",
        folder,
        TransformersPredictor.from_pretrained(str(folder)),
        texts.sentences(held_out),
        "transformer.bert.encoder.layer.2",
    )


def causal(out: Path = fetch.OUT) -> RealModel:
    """SmolLM2, a language model."""
    folder = language_model.build(out)
    return RealModel(
        "smollm2",
        "SmolLM2 (a Llama of 30 layers, 135 M parameters), a language model",
        folder,
        TransformersPredictor.from_pretrained(str(folder)),
        texts.prompts(),
        "transformer.model.layers.14",
    )


def shown(one: dict[str, str]) -> str:
    """An input as the page shows it."""
    if "sentence" in one:
        return one["sentence"]
    return f"{one['prompt']} → {one['continuation'].strip()}"
