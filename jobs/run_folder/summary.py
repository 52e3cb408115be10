"""What a run came to: counts, deltas, warnings, the most attributed tokens by label."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from allennlp_saliency.interpret.explanation import JsonDict

from ..parts.statistics import MOST_LABELS, fewer_labels, merge_label

_TOKENS = 20
_MANY = 8


def summary_of(
    config: JsonDict, states: Iterable[JsonDict | None]
) -> tuple[JsonDict, list[JsonDict]]:
    """The summary and the errors of a run.

    Args:
        config: The content of `config.json`.
        states: Of each part what is known; None of one that is not complete.
    """
    counts = {"inputs": 0, "failed": 0, "rows": 0, "tokens": 0}
    own: dict[str, _Sums] = {}
    errors: list[JsonDict] = []
    kinds: dict[str, int] = {}
    complete = total = 0
    for state in states:
        total += 1
        if state is None:
            continue
        complete += 1
        statistics = state["statistics"]
        counts["inputs"] += statistics["inputs"]
        counts["failed"] += statistics["failed"]
        counts["rows"] += state["rows"]
        counts["tokens"] += state["tokens"]
        for name, one in statistics["interpreters"].items():
            own.setdefault(name, _Sums()).add(one)
        errors += state["errors"]
        for error in state["errors"]:
            kind = error["error"]["type"]
            kinds[kind] = kinds.get(kind, 0) + 1
    summary = {
        "complete": complete == total,
        "parts": {"complete": complete, "of": total},
        "inputs": {
            "of": config["inputs"]["count"],
            "done": counts["inputs"],
            "explained": counts["inputs"] - counts["failed"],
            "failed": counts["failed"],
        },
        "rows": counts["rows"],
        "tokens": counts["tokens"],
        "errors": dict(sorted(kinds.items())),
        "interpreters": {name: sums.to_json() for name, sums in own.items()},
    }
    return summary, errors


class _Sums:
    """The statistics of an interpreter, added up over parts."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(
            ("rows", "explanations", "tokens", "judged", "not_converged"), 0
        )
        self._deltas = array("d")
        self._warnings: dict[str, int] = {}
        self._labels: dict[str, JsonDict] = {}

    def add(self, other: Mapping[str, Any]) -> None:
        for name in self._counts:
            self._counts[name] += other[name]
        self._deltas.extend(other["deltas"])
        for kind, count in other["warnings"].items():
            self._warnings[kind] = self._warnings.get(kind, 0) + count
        for label, counted in other["labels"].items():
            merge_label(self._labels.setdefault(label, {"explanations": 0, "tokens": {}}), counted)
        # Where each text that is written is a label, each part brings others.
        if len(self._labels) > _MANY * MOST_LABELS:
            self._labels = fewer_labels(self._labels, _MANY // 2 * MOST_LABELS)

    def to_json(self) -> JsonDict:
        judged = self._counts["judged"]
        warnings = sorted(self._warnings.items(), key=lambda one: (-one[1], one[0]))
        kept = fewer_labels(dict(self._labels), MOST_LABELS)
        labels = sorted(kept.items(), key=lambda one: (-one[1]["explanations"], one[0]))
        return {
            "rows": self._counts["rows"],
            "explanations": self._counts["explanations"],
            "tokens": self._counts["tokens"],
            "median_delta": median(self._deltas) if self._deltas else None,
            "largest_delta": max(self._deltas) if self._deltas else None,
            "not_converged": self._counts["not_converged"] / judged if judged else None,
            "warnings": dict(warnings),
            "labels": {
                label: {"explanations": own["explanations"], "tokens": _most(own["tokens"])}
                for label, own in labels
            },
        }


def _most(tokens: Mapping[str, list[float]]) -> list[JsonDict]:
    """The tokens with the most attribution, without regard to its sign."""
    ranked = sorted(tokens.items(), key=lambda one: (-one[1][2], one[0]))[:_TOKENS]
    return [
        {"token": token, "count": int(sums[0]), "score": sums[1], "absolute": sums[2]}
        for token, sums in ranked
    ]
