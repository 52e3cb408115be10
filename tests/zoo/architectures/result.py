"""What came of the checks of one pair of architecture and task."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

#: From the worst to the best; a row has the worst that was found.
STATUSES = (
    "crash",
    "wrong",
    "differs in a batch",
    "incomplete",
    "refused",
    "cannot be built",
    "not compared",
    "right",
)
#: Those that are faults of ours.
FAULTS = STATUSES[:4]


@dataclass
class Result:
    """What came of one pair.

    Attributes:
        pair: `architecture:task`.
        class_name: The model's class.
        status: One of `STATUSES`.
        why: The sentence, where the status is not "right".
        found: Everything that was found: `[status, what was checked, sentence]` each.
        methods: By method "complete", "incomplete, with a warning", or why it was refused.
        numbers: The largest error of each check, as a share of the scale.
        seconds: How long it took.
    """

    pair: str
    class_name: str
    status: str = "right"
    why: str = ""
    found: list[tuple[str, str, str]] = field(default_factory=list)
    methods: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def note(self, status: str, check: str, sentence: str) -> None:
        """Takes note of something; the status becomes the worst."""
        entry = (status, check, " ".join(sentence.split()))
        if entry in self.found:
            return
        self.found.append(entry)
        if STATUSES.index(status) < STATUSES.index(self.status):
            self.status, self.why = status, f"{check}: {entry[2]}" if check else entry[2]

    def number(self, check: str, error: float) -> None:
        """Takes note of an error; the largest is kept, and one that is not a number is."""
        self.numbers[check] = max(self.numbers.get(check, 0.0), error, key=_size)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def read(path: Path) -> dict[str, Result]:
    """The latest result of each pair in a file of JSON lines; none if there is no file."""
    if not path.exists():
        return {}
    lines: Iterable[str] = path.read_text(encoding="utf-8").splitlines()
    results = (Result(**json.loads(line)) for line in lines if line.strip())
    return {one.pair: one for one in results}


def _size(value: float) -> float:
    return float("inf") if value != value else value
