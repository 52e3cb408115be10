"""MiniLM, fine-tuned as a classifier of sentiment on texts that people rated.

The ratings are of Hutto and Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment
Analysis of Social Media Text": tweets, and sentences of reviews of films and of products, each
rated by twenty people from -4 to 4.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed

from . import fetch

_TWEETS, _REVIEWS = "tweets", ("movieReviewSnippets", "amazonReviewSnippets")
LABELS = {0: "negative", 1: "positive"}
CLEAR = 0.8
"""The least absolute mean rating that says what a text is."""
_HELD_OUT = 500
_STEPS, _BATCH, _RATE = 160, 16, 2e-4
TRAINED_ON = _STEPS * _BATCH
"""How many texts it has seen."""
_FROZEN_LAYERS = 3
_SEED = 0


@dataclass(frozen=True)
class Rated:
    """A text and its label: 1 is positive.

    Attributes:
        text: The text.
        label: Its label.
        review: Whether it is of a review.
    """

    text: str
    label: int
    review: bool = False


def rated_texts(folder: Path, clear: float = CLEAR) -> list[Rated]:
    """The texts whose mean rating is clear, in the order of the files.

    Args:
        folder: The folder with the ratings.
        clear: The least absolute mean rating.
    """
    return [
        Rated(text, label, name in _REVIEWS)
        for name in (_TWEETS, *_REVIEWS)
        for text, label in parse_ratings(
            (folder / f"{name}_GroundTruth.txt").read_text(encoding="utf-8"), clear
        )
    ]


def parse_ratings(lines: str, clear: float) -> Iterator[tuple[str, int]]:
    """Reads lines of a number, a mean rating and a text, separated by tabs.

    Args:
        lines: The lines.
        clear: The least absolute mean rating.

    Yields:
        The texts whose rating is clear, and their labels.
    """
    for line in lines.splitlines():
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= clear:
            yield unescape(text).strip(), int(float(rating) > 0)


def split(texts: Sequence[Rated], held_out: int = _HELD_OUT) -> tuple[list[Rated], list[Rated]]:
    """Texts to train on, and texts held out: shuffled with a fixed seed.

    Args:
        texts: All texts.
        held_out: How many are held out.
    """
    shuffled = list(texts)
    random.Random(_SEED).shuffle(shuffled)
    return shuffled[held_out:], shuffled[:held_out]


def build(out: Path = fetch.OUT) -> Path:
    """Fine-tunes and writes the folder, if it is not there yet.

    Args:
        out: Where folders are written to.

    Returns:
        The folder.
    """
    folder = out / "minilm-sentiment"
    if not (folder / "config.json").is_file():
        fine_tune(fetch.minilm(out), *split(rated_texts(fetch.ratings(out))), folder)
    return folder


def fine_tune(
    source: Path, train: Sequence[Rated], held_out: Sequence[Rated], folder: Path
) -> None:
    """Fine-tunes a classifier from a fixed seed and writes its folder.

    Args:
        source: The folder of the encoder.
        train: The texts to train on.
        held_out: The texts that its accuracy is printed for.
        folder: Where to.
    """
    set_seed(_SEED)
    tokenizer = AutoTokenizer.from_pretrained(source)
    # The head is drawn here, from the seed.
    model = AutoModelForSequenceClassification.from_pretrained(source, id2label=LABELS)
    frozen = [model.bert.embeddings, *model.bert.encoder.layer[:_FROZEN_LAYERS]]
    for module in frozen:
        module.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=_RATE)
    model.train()
    for step in range(_STEPS):
        batch = train[step * _BATCH : (step + 1) * _BATCH]
        loss = model(
            **_inputs(tokenizer, batch), labels=torch.tensor([t.label for t in batch])
        ).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().requires_grad_(True)
    print(
        f"{folder.name}: accuracy {accuracy(model, tokenizer, held_out):.3f} held out", flush=True
    )
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def accuracy(model: torch.nn.Module, tokenizer: Any, texts: Sequence[Rated]) -> float:
    """The share of texts whose label the model predicts.

    Args:
        model: A sequence classifier of Hugging Face.
        tokenizer: Its tokenizer.
        texts: The texts.
    """
    right = 0
    with torch.no_grad():
        for start in range(0, len(texts), 50):
            batch = texts[start : start + 50]
            predicted = model(**_inputs(tokenizer, batch)).logits.argmax(-1).tolist()
            right += sum(a == b.label for a, b in zip(predicted, batch, strict=True))
    return right / len(texts)


def _inputs(tokenizer: Any, texts: Sequence[Rated]) -> dict[str, torch.Tensor]:
    return tokenizer(
        [one.text for one in texts],
        padding=True,
        truncation=True,
        max_length=64,
        return_tensors="pt",
    )
