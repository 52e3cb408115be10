"""A run without a model: three parts that are there at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allennlp_saliency.jobs import Job, RunFolder
from allennlp_saliency.jobs.parts.part import Part
from allennlp_saliency.jobs.parts.statistics import Statistics
from allennlp_saliency.jobs.run_folder.config import config_of
from allennlp_saliency.jobs.run_folder.folder import locks_of
from allennlp_saliency.jobs.sources import Item

PARTS = 3


class Numbers:
    """Inputs that nobody reads."""

    name = "numbers"

    def __init__(self, content: str = "0") -> None:
        self.content = content

    def count(self) -> int:
        return 5

    def sha256(self) -> str:
        return self.content

    def items(self, start: int, stop: int) -> list[Item]:
        raise AssertionError


def config(content: str = "0", **settings: Any) -> dict[str, Any]:
    job = Job(
        **{"model": "m", "inputs": "i", "interpreters": "gradient", "part_size": 2, **settings}
    )
    return config_of(job, {"model": "m", "sha256": "0"}, Numbers(content))


def part(number: int, scale: float = 1.0) -> Part:
    statistics = Statistics(["gradient"])
    rows = []
    for place in range(2 if number < 2 else 1):
        scores = [scale * (number + place / 3), -0.1]
        explanation = {
            "target": {"label": "a"},
            "inputs": [{"field": "f", "tokens": ["x", "é\ud800"], "attributions": scores}],
            "convergence_delta": number / 7,
            "warnings": [f"lacks {number / 3} of it; try more"],
            "details": {"converged": place == 0},
        }
        row: dict[str, Any] = {"id": None, "line": 2 * number + place + 1}
        row |= {"interpreter": "gradient", "prediction": {"label": "a\u2028"}}
        row["instance_1"] = {"grad_input_1": [0.5, 0.5], "explanation": explanation}
        rows.append(row)
        statistics.add("gradient", row)
    errors = []
    if number == 1:
        described = {"type": "InterpretationError", "message": "no"}
        errors = [{"id": None, "line": 9, "number": 3, "interpreter": None, "error": described}]
    statistics.failed(len(rows) + len(errors), errors)
    return Part(rows, errors, statistics.to_json(), statistics.tokens, 0.1)


def write_all(path: Path, **settings: Any) -> RunFolder:
    """What a run does with its folder."""
    with locks_of(path).parts(None):
        folder, _ = RunFolder.make(path, config(**settings))
        folder.remove_unfinished(None)
        done = folder.done()
        for number in range(PARTS):
            if number not in done:
                folder.write(number, part(number))
        folder.finish()
    return folder
