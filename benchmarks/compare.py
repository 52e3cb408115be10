"""Rows in, measurements out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from .case import NotReachedError, Scores
from .rows.row import Goal, Row
from .timing import ContestantError, Run, Stage


@dataclass(frozen=True)
class Measured:
    """An entry of a row, measured.

    Attributes:
        label: Its name.
        runs: Its runs.
        notes: What its contestant says about them.
        difference: The largest difference between a score and that of the row's first entry.
        failure: Why there are no runs.
    """

    label: str
    runs: list[Run]
    notes: dict[str, Any]
    difference: float | None = None
    failure: str | None = None

    @property
    def seconds(self) -> float | None:
        """The median."""
        return median(run.seconds for run in self.runs) if self.runs else None

    @property
    def peak_bytes(self) -> int | None:
        """The largest."""
        return max(
            (run.peak_bytes for run in self.runs if run.peak_bytes is not None), default=None
        )

    def to_json(self) -> dict[str, Any]:
        """As it stands in the results."""
        return {
            "name": self.label,
            "median_seconds": self.seconds,
            "seconds": [run.seconds for run in self.runs],
            "peak_bytes": self.peak_bytes,
            "largest_difference_of_a_score": self.difference,
            "notes": self.notes,
            "failure": self.failure,
        }


def compare(
    row: Row,
    stage: Callable[[str], Stage],
    warm_up: bool = True,
    until: float | None = None,
) -> dict[str, Any]:
    """Runs a row: everybody once, then everybody again, as many rounds as it has.

    Who fails is in the row with the reason, and the others go on.

    Args:
        row: The row.
        stage: Where a contestant runs.
        warm_up: Whether to run everybody first without looking at the clock.
        until: When no further round is to begin, by `time.monotonic`; None for never. The first
            round always does.

    Returns:
        The row as it stands in the results.
    """
    measured: dict[str, Measured] = {}
    for entry in row.entries:
        try:
            case = replace(row.case, **entry.changes)
            notes = stage(entry.contestant).prepare(entry.label, case, warm_up)
            measured[entry.label] = Measured(entry.label, [], notes)
        except (NotReachedError, ContestantError) as error:
            measured[entry.label] = _failed(entry.label, error)
    for number in range(row.rounds):
        if number and until is not None and time.monotonic() > until:
            break
        for entry in row.entries:
            one = measured[entry.label]
            if one.failure is None and number < (entry.rounds or row.rounds):
                try:
                    one.runs.append(stage(entry.contestant).run(entry.label))
                except ContestantError as error:
                    measured[entry.label] = _failed(entry.label, error)
    measured = _with_differences(row, measured)
    return {
        "name": row.name,
        "title": row.title,
        "rounds": row.rounds,
        "entries": [one.to_json() for one in measured.values()],
        "goals": [_judged(goal, measured) for goal in row.goals],
    }


def _failed(label: str, error: Exception) -> Measured:
    reached = isinstance(error, NotReachedError)
    return Measured(label, [], {}, failure=str(error) if reached else f"failed: {error}")


def _with_differences(row: Row, measured: Mapping[str, Measured]) -> dict[str, Measured]:
    first = measured[row.entries[0].label]
    comparable = {entry.label for entry in row.entries[1:] if entry.comparable}
    return {
        label: replace(one, difference=_difference(first.runs[-1].scores, one.runs[-1].scores))
        if label in comparable and one.runs and first.runs
        else one
        for label, one in measured.items()
    }


def _difference(own: Scores, other: Scores) -> float | None:
    if len(own) != len(other):
        return None
    return max(
        abs(a - b)
        for one, another in zip(own, other, strict=True)
        for a, b in zip(one, another, strict=True)
    )


def _judged(goal: Goal, measured: Mapping[str, Measured]) -> dict[str, Any]:
    slower, faster = measured[goal.slower].seconds, measured[goal.faster].seconds
    ratio = slower / faster if slower is not None and faster is not None else None
    return {
        "slower": goal.slower,
        "faster": goal.faster,
        "at_least": goal.at_least,
        "at_most": goal.at_most,
        "ratio": ratio,
        "met": None if ratio is None else goal.met(ratio),
    }
