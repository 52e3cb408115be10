"""Small archives of allennlp-models' predictors: what is explained, how exactly, what refuses."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import allennlp_saliency.plugin  # noqa: F401
from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor
from allennlp_saliency.views.outputs import output_name
from tests.zoo.allennlp_models import ARCHIVES, Archives

JsonDict = dict[str, Any]
COMPLETE = ("integrated-gradients", "deeplift", "lrp")
ATTENTION = ("attention", "attention-rollout", "attention-x-gradient", "value-zeroing")
METHODS = ("input-x-gradient", *COMPLETE, *ATTENTION)
#: Short reasons by a part of the error that says them.
REASONS = {
    "has no transformer attention": "no transformer attention",
    "this form of attention is not supported": "decodes in steps",
    "is no matrix of word vectors": "embeds by characters",
}


@dataclass
class Measured:
    """What came of one archive.

    Attributes:
        name: The archive's name.
        model: The registered name of its model.
        predictor: The registered name of its predictor.
        each: What one explanation is of.
        continuous: Whether the explained number is continuous in the embeddings.
        spacy: Whether its predictor takes a spaCy model.
        held: Whether spans that the model chooses are held while it is explained.
        count: How many explanations its inputs have together.
        label: What one of them is of.
        deltas: By method the largest completeness error, as a share of what is accounted for.
        batch: The largest difference of a score in a batch from the same alone, as a share of the
            largest score.
        number: The largest difference of the explained number from the predicted one, None where
            there is nothing to compare with.
        predicted: Whether the prediction has that number; else it is by the model's own loss or
            raw outputs.
        refused: Short reasons by the method that refuses.
    """

    name: str
    model: str
    predictor: str
    each: str
    continuous: bool
    spacy: bool
    held: bool = False
    count: int = 0
    label: str = ""
    deltas: dict[str, float] = field(default_factory=dict)
    batch: float = 0.0
    number: float | None = None
    predicted: bool = False
    refused: dict[str, str] = field(default_factory=dict)


def measured(names: Iterable[str]) -> Iterator[Measured]:
    """What comes of archives, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        archives = Archives(Path(folder))
        for name in names:
            yield measure(archives, name)


def measure(archives: Archives, name: str) -> Measured:
    """What comes of one archive.

    Raises:
        RuntimeError: If an input is not explained for a reason that is not among `REASONS`, or
            has another number of explanations than it should.
    """
    about, predictor = ARCHIVES[name], archives.predictor(name)
    args = archives.predictor_args(name)
    config = json.loads((archives.path(name).parent / "config.json").read_text(encoding="utf-8"))
    found = Measured(
        name,
        config["model"]["type"],
        about.predictor or str(predictor._model.default_predictor),
        about.each,
        about.continuous,
        "language" in args,
    )
    for method in dict.fromkeys((*METHODS, *about.refused)):
        saliency = SaliencyPredictor(
            predictor._model, predictor._dataset_reader, method, about.predictor, dict(args)
        )
        lines = saliency.predict_batch_json([dict(one) for one in about.inputs])
        why = _refusal(lines)
        if why is not None:
            found.refused[method] = why
            continue
        shown = [explanations(line) for line in lines]
        for line, several in zip(lines, shown, strict=True):
            if len(several) != about.count(line["prediction"]):
                raise RuntimeError(f"{name}, {method}: {len(several)} explanations of {line}")
        if method in COMPLETE:
            found.deltas[method] = max(_incomplete(one) for several in shown for one in several)
        if method == "input-x-gradient":
            labels = [output_name(one) for several in shown for one in several]
            found.count, found.label = len(labels), next(filter(None, labels))
            found.held = any("held_spans" in one.details for one in chain(*shown))
            alone = [explanations(saliency.predict_json(dict(one))) for one in about.inputs]
            found.batch = max(map(_apart, chain(*shown), chain(*alone)))
            found.number = _number(archives, name, lines, shown)
            found.predicted = about.values is None
    return found


def explanations(line: JsonDict) -> list[Explanation]:
    """The explanations of a line of the predictor `saliency`."""
    return [
        Explanation.from_json(value["explanation"])
        for key, value in line.items()
        if key.startswith("instance_")
    ]


def _refusal(lines: Sequence[JsonDict]) -> str | None:
    """In short, why a method refuses; None if it does not."""
    for line in lines:
        if "error" in line:
            message = line["error"]["message"]
            for part, why in REASONS.items():
                if part in message:
                    return why
            raise RuntimeError(f"an error of no known reason: {message}")
    return None


def _incomplete(one: Explanation) -> float:
    """What completeness lacks, as a share of what is accounted for: F(x) - F(x'), or F(x)."""
    if one.convergence_delta is None:
        raise RuntimeError(f"{one.target}: no convergence delta")
    due = one.target["value"] - one.target.get("baseline_value", 0.0)
    return abs(one.convergence_delta) / max(abs(due), 1e-6)


def _apart(one: Explanation, other: Explanation) -> float:
    """The largest difference of two explanations' scores, as a share of the largest score."""
    left, right = (
        [score for part in of.inputs for score in part.attributions] for of in (one, other)
    )
    apart = max(abs(a - b) for a, b in zip(left, right, strict=True))
    return apart / max(map(abs, right))


def _number(
    archives: Archives,
    name: str,
    lines: Sequence[JsonDict],
    shown: Sequence[Sequence[Explanation]],
) -> float | None:
    """The largest difference of the explained numbers from the predicted ones, or the model's."""
    about, fresh, apart = ARCHIVES[name], archives.predictor(name), []
    for given, line, several in zip(about.inputs, lines, shown, strict=True):
        ours = [one.target["value"] for one in several]
        if about.expected is not None:
            theirs = about.expected(line["prediction"])
        elif about.expected_total is not None:
            ours, theirs = [sum(ours)], [about.expected_total(line["prediction"])]
        elif about.values is not None:
            theirs = about.values(fresh, dict(given))
        else:
            return None
        apart += [abs(a - b) for a, b in zip(ours, theirs, strict=True)]
    return max(apart)
