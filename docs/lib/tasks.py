"""The fixtures as tasks of a comparison: inputs that are predicted right, with known reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allennlp.predictors import Predictor

from fixtures.alignment import right
from fixtures.measure import entities, predict
from fixtures.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[2]
# What the first two predict belongs to tokens of the text, which are others once a part of it is
# deleted; the others take no empty text.
_WITHOUT_DELETE = ("ner", "question-answering", "choices", "sentiment-lstm", "copy-lm")
# No word-level vocabulary has a mask.
_WITHOUT_MASK = ("sentiment-lstm", "entailment", "topics")
_ONE_TEXT = {"copy-lm": "prompt", "translate": "source"}


@dataclass(frozen=True)
class Task:
    """What is compared on one fixture.

    Attributes:
        name: The fixture.
        predictor: Its predictor.
        inputs: Inputs that it predicts right.
        rationales: Per input a reason for each explanation, by field.
        removals: How units are removed: by a token in their place, and from the text where that
            can be.
        target: The number that metrics look at.
    """

    name: str
    predictor: Predictor
    inputs: list[dict[str, Any]]
    rationales: list[list[dict[str, Any]]]
    removals: tuple[str, str]
    target: str


def task(name: str, explanations: int, fewest_inputs: int = 1) -> Task:
    """The first inputs of a fixture that its model has right, up to so many explanations.

    Args:
        name: The fixture.
        explanations: How many explanations, about.
        fewest_inputs: How many inputs at least, where that makes more explanations.
    """
    folder = ROOT / "fixtures" / name
    lines = (folder / "inputs.jsonl").read_text(encoding="utf-8").splitlines()
    predictor = Predictor.from_path(folder / "model.tar.gz", import_plugins=False)
    inputs: list[dict[str, Any]] = []
    rationales: list[list[dict[str, Any]]] = []
    for line, known in _right(name, predictor, [json.loads(line) for line in lines]):
        if sum(map(len, rationales)) >= explanations and len(inputs) >= fewest_inputs:
            break
        given = {k: v for k, v in line.items() if k not in ("label", "rationale", "answer")}
        inputs.append(given)
        rationales.append([_by_field(name, one) for one in known])
    return Task(
        name,
        predictor,
        inputs,
        rationales,
        (
            "unk" if name in _WITHOUT_MASK else "mask",
            "mean" if name in _WITHOUT_DELETE else "delete",
        ),
        "span" if name == "question-answering" else "probability",
    )


def _right(
    name: str, predictor: Predictor, lines: Sequence[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """The lines that are predicted right, each with a reason for each explanation."""
    if name in RECIPES:
        for line, predicted in zip(lines, predict(predictor, lines), strict=True):
            if isinstance(predicted, list):
                if entities(predicted) == entities(line["label"]):
                    yield line, line["rationale"]
            elif predicted == line["label"]:
                yield line, [line["rationale"]]
        return
    for line in lines:
        if right(line, predictor.predict_json(line)):
            several = name in ("multi-label", "multi-label-hard", *_ONE_TEXT)
            yield line, line["rationale"] if several else [line["rationale"]]


def _by_field(name: str, rationale: Any) -> dict[str, Any]:
    """A reason by the fields of an explanation; a list of texts has a field for each."""
    if not isinstance(rationale, dict):
        field = _ONE_TEXT.get(name, "tokens" if name in RECIPES else "sentence")
        return {field: rationale}
    found: dict[str, Any] = {}
    for field, spans in rationale.items():
        if field == "choices":
            found |= {f"{field}[{number}]": own for number, own in enumerate(spans)}
        else:
            found[field] = spans
    return found
