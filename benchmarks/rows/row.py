"""A comparison: who takes part, and what ought to come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..case import Case
from ..workloads import fewer


@dataclass(frozen=True)
class Entry:
    """Somebody who takes part in a row.

    Attributes:
        label: Its name in the table.
        contestant: Its module in `contestants/`.
        changes: What is different in its case.
        rounds: How often it runs at most; None for as often as the others.
        comparable: Whether it computes the same numbers as the row's first.
    """

    label: str
    contestant: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    rounds: int | None = None
    comparable: bool = True


@dataclass(frozen=True)
class Goal:
    """What the ratio of the seconds of two entries ought to be."""

    slower: str
    faster: str
    at_least: float | None = None
    at_most: float | None = None

    def met(self, ratio: float) -> bool:
        """Whether it is."""
        return (self.at_least is None or ratio >= self.at_least) and (
            self.at_most is None or ratio <= self.at_most
        )


@dataclass(frozen=True)
class Row:
    """A comparison.

    Attributes:
        name: For `--only`.
        title: For the table.
        case: What everybody is asked to do.
        entries: Who takes part, ours first.
        goals: What ought to come out.
        rounds: How often everybody runs.
    """

    name: str
    title: str
    case: Case
    entries: tuple[Entry, ...]
    goals: tuple[Goal, ...] = ()
    rounds: int = 5

    def quick(self) -> Row:
        """The same with fewer rounds and texts, for a look."""
        case = replace(self.case, texts=fewer(self.case.texts))
        return replace(self, case=case, rounds=min(self.rounds, 2))

    def of_rounds(self, rounds: int | None) -> Row:
        """The same with so many rounds for everybody; None for its own."""
        if rounds is None:
            return self
        entries = tuple(replace(one, rounds=None) for one in self.entries)
        return replace(self, entries=entries, rounds=rounds)

    @property
    def of_the_start(self) -> bool:
        """Whether it is about the start of the command."""
        return self.name.startswith("start-")


BEFORE = "@before"
"""Behind the name of a contestant: as it is in another checkout of this project."""


def beside_before(row: Row) -> Row | None:
    """Ours of a row beside ours as it was, which ought not to be more than a tenth faster; None
    for a row that another checkout's code takes no part in.

    Args:
        row: The row.
    """
    if row.of_the_start:
        return None
    entries: list[Entry] = []
    goals: list[Goal] = []
    for entry in row.entries:
        if entry.contestant in ("ours", "coalitions.ours"):
            now = replace(entry, rounds=None)
            label = f"{entry.label}, before"
            entries += [now, replace(now, label=label, contestant=entry.contestant + BEFORE)]
            goals.append(Goal(entry.label, label, at_most=1.1))
    return replace(row, entries=tuple(entries), goals=tuple(goals))
