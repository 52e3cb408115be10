"""What is counted of the explanations of a part, so that a summary can add it up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from allennlp_saliency.interpret.explanation import JsonDict

MOST_LABELS = 64
OTHERS = "(other labels)"
"""Where there are more labels than that in a part, as in written text, the rest share a name."""

_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(\.\d+)?(e[+-]?\d+)?%?")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class Statistics:
    """Counts the explanations of a part, by interpreter.

    Args:
        names: What the rows call the interpreters.

    Attributes:
        tokens: How many tokens were explained.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.tokens = 0
        self._inputs = 0
        self._failed = 0
        self._of = {name: _OfInterpreter() for name in names}

    def add(self, name: str, row: JsonDict) -> None:
        """Counts the row of an input."""
        own = self._of[name]
        own.rows += 1
        for key, instance in row.items():
            if not (key.startswith("instance_") and isinstance(instance, Mapping)):
                continue
            explanation = instance.get("explanation")
            if isinstance(explanation, Mapping):
                self.tokens += own.add(explanation)
            else:
                self.tokens += sum(len(one) for one in instance.values() if isinstance(one, list))

    def failed(self, inputs: int, errors: Iterable[JsonDict]) -> None:
        """Counts the inputs of the part, and those with an error."""
        self._inputs = inputs
        self._failed = len({error["number"] for error in errors})

    def to_json(self) -> JsonDict:
        """The counts."""
        interpreters = {name: own.to_json() for name, own in self._of.items()}
        return {"inputs": self._inputs, "failed": self._failed, "interpreters": interpreters}


class _OfInterpreter:
    def __init__(self) -> None:
        self.rows = self.explanations = self.tokens = 0
        self.deltas: list[float] = []
        self.judged = self.unconverged = 0
        self.warnings: dict[str, int] = {}
        # By label: how many explanations, and by token its count, its scores added up, and these
        # without regard to sign.
        self.labels: dict[str, tuple[list[int], dict[str, list[float]]]] = {}

    def add(self, explanation: Mapping[str, Any]) -> int:
        self.explanations += 1
        delta = explanation.get("convergence_delta")
        if isinstance(delta, (int, float)):
            self.deltas.append(abs(delta))
        converged = (explanation.get("details") or {}).get("converged")
        if isinstance(converged, bool):
            self.judged += 1
            self.unconverged += not converged
        for warning in explanation.get("warnings") or ():
            kind = kind_of(str(warning))
            self.warnings[kind] = self.warnings.get(kind, 0) + 1
        label = label_of(explanation)
        count, by_token = self.labels.setdefault(label, ([0], {}))
        count[0] += 1
        tokens = 0
        for one in explanation["inputs"]:
            tokens += len(one["tokens"])
            for token, score in zip(one["tokens"], one["attributions"], strict=True):
                sums = by_token.setdefault(token, [0, 0.0, 0.0])
                sums[0] += 1
                if score is None:  # Of another's interpreter: what is not finite has no JSON.
                    continue
                sums[1] += score
                sums[2] += abs(score)
        self.tokens += tokens
        return tokens

    def to_json(self) -> JsonDict:
        labels = {label: _copied(own) for label, own in self.labels.items()}
        kept = fewer_labels(labels, MOST_LABELS)
        return {
            "rows": self.rows,
            "explanations": self.explanations,
            "tokens": self.tokens,
            "deltas": self.deltas,
            "judged": self.judged,
            "not_converged": self.unconverged,
            "warnings": dict(sorted(self.warnings.items())),
            "labels": kept,
        }


def _copied(own: tuple[list[int], dict[str, list[float]]]) -> JsonDict:
    return {"explanations": own[0][0], "tokens": own[1]}


def merge_label(into: JsonDict, other: Mapping[str, Any]) -> None:
    """Adds the counts of a label to others of the same name."""
    into["explanations"] += other["explanations"]
    for token, sums in other["tokens"].items():
        known = into["tokens"].setdefault(token, [0, 0.0, 0.0])
        for place, number in enumerate(sums):
            known[place] += number


def fewer_labels(labels: dict[str, JsonDict], most: int) -> dict[str, JsonDict]:
    """Those labels of which there are the most explanations, the rest under one name.

    Args:
        labels: Their counts, by label.
        most: How many keep their name.
    """
    others = labels.pop(OTHERS, None)
    ranked = sorted(labels.items(), key=lambda one: (-one[1]["explanations"], one[0]))
    kept = dict(ranked[:most])
    for one in [own for _, own in ranked[most:]] + ([] if others is None else [others]):
        merge_label(kept.setdefault(OTHERS, {"explanations": 0, "tokens": {}}), one)
    return kept


def label_of(explanation: Mapping[str, Any]) -> str:
    """What a summary calls the label that was explained."""
    label = explanation.get("target", {}).get("label")
    return "(none)" if label is None else str(label)


def kind_of(warning: str) -> str:
    """A warning without what differs from input to input: numbers, names, and the advice."""
    text = _NUMBER.sub("#", _QUOTED.sub("'…'", warning))
    return re.split(r"[;:] ", text, maxsplit=1)[0]
