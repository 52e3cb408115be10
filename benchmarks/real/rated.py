"""Every rated text explained by one job, and which words its explanations rest on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

from allennlp_saliency.interpret.explanation import Explanation, JsonDict
from allennlp_saliency.jobs import Job, run_job
from allennlp_saliency.views.lines import read_lines
from allennlp_saliency.views.words import in_words

from . import fetch, sentiment

SOURCES = ("tweets", "movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets")
METHOD = "integrated-gradients"


@dataclass
class Word:
    """What a word got in the explanations of a label.

    Attributes:
        count: How often it stands in the texts.
        score: Its scores added up.
        absolute: The same without regard to sign.
    """

    count: int = 0
    score: float = 0.0
    absolute: float = 0.0

    @property
    def mean(self) -> float:
        """The mean score."""
        return self.score / self.count


@dataclass
class Totals:
    """What a run came to.

    Attributes:
        words: By label and word.
        explained: How many texts, by label.
        clear: How many texts have a clear mean rating.
        right: Of how many of these the label has the rating's sign.
    """

    words: dict[str, dict[str, Word]] = field(default_factory=dict)
    explained: dict[str, int] = field(default_factory=dict)
    clear: int = 0
    right: int = 0

    def add(self, explanation: Explanation, rating: float) -> None:
        """Counts an explanation.

        Args:
            explanation: Of one text.
            rating: The text's mean rating, from -4 to 4.
        """
        label = str(explanation.target["label"])
        self.explained[label] = self.explained.get(label, 0) + 1
        if abs(rating) >= sentiment.CLEAR:
            self.clear += 1
            self.right += label == sentiment.LABELS[int(rating > 0)]
        known = self.words.setdefault(label, {})
        for one in in_words(explanation).inputs:
            for token, score in zip(one.tokens, one.attributions, strict=True):
                word = known.setdefault(token, Word())
                word.count += 1
                word.score += score
                word.absolute += abs(score)


def explained(out: Path = fetch.OUT) -> Path:
    """The folder of the run, which goes on where it was.

    Args:
        out: Where folders are written to.
    """
    folder = out / "rated"
    summary = folder / "summary.json"
    if not (summary.is_file() and json.loads(summary.read_text(encoding="utf-8"))["complete"]):
        model, texts = sentiment.build(out), write_texts(fetch.ratings(out), out / "rated.csv")
        run_job(
            Job(
                model=str(model),
                inputs=str(texts),
                interpreters=METHOD,
                task="text-classification",
                output=folder,
            )
        )
    return folder


def write_texts(ratings: Path, path: Path) -> Path:
    """Writes all rated texts as CSV: `id`, `sentence`, `rating`.

    Args:
        ratings: The folder with the ratings.
        path: Where to.

    Returns:
        The same path.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "sentence", "rating"])
        for name in SOURCES:
            lines = (ratings / f"{name}_GroundTruth.txt").read_text(encoding="utf-8")
            for line in lines.splitlines():
                number, rating, text = line.split("\t", 2)
                rows.writerow([f"{name}-{number}", unescape(text).strip(), rating])
    return path


def totals(folder: Path, ratings: Mapping[str, float]) -> Totals:
    """Reads the explanations of a run.

    Args:
        folder: The run's.
        ratings: By the texts' ids.
    """
    found = Totals()
    for identity, explanation in _explanations(folder):
        found.add(explanation, ratings[identity])
    return found


def read_ratings(path: Path) -> dict[str, float]:
    """The ratings of what `write_texts` wrote, by id."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["id"]: float(row["rating"]) for row in csv.DictReader(file)}


def read_summary(folder: Path) -> JsonDict:
    """The summary of a run."""
    summary: JsonDict = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def _explanations(folder: Path) -> Iterator[tuple[str, Explanation]]:
    for path in sorted(folder.glob("part-*.jsonl")):
        for line in read_lines(path):
            for explanation in line.explanations:
                yield str(line.content["id"]), explanation
