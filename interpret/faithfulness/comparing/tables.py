"""A comparison as Markdown: the numbers, and under them what follows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from ...explanation import JsonDict
from ..confidence import CONFIDENCE, Interval
from .conclusion import CHANCE, Conclusion
from .sentences import body, counted, sentence
from .trial import told

_LEVEL = f"{CONFIDENCE:.0%}".replace("%", " %")
_MOST_DECIMALS = 8


class Compared(Protocol):
    """What the tables read of a comparison, which has the documentation."""

    @property
    def methods(self) -> list[str]: ...
    @property
    def metrics(self) -> list[str]: ...
    @property
    def removals(self) -> list[str]: ...
    @property
    def seconds(self) -> dict[str, float]: ...
    @property
    def passes(self) -> dict[str, float]: ...
    @property
    def left_out(self) -> Mapping[str, str]: ...
    @property
    def inputs(self) -> int: ...
    @property
    def conclusions(self) -> list[Conclusion]: ...
    def interval(self, method: str, metric: str, removal: str) -> Interval: ...
    def agreement(self, first: str, second: str) -> Interval: ...
    def better(self, metric: str) -> bool | None: ...
    def measured(self, removal: str) -> Iterator[JsonDict]: ...


def markdown(found: Compared) -> str:
    """The tables of metrics, one per removal, what follows from them, agreement and cost.

    Args:
        found: The comparison.
    """
    parts = [_head(found)]
    parts += [_of_removal(found, removal) for removal in found.removals]
    parts.append(_conclusions(found.conclusions))
    if len(found.methods) > 1:
        parts.append(_agreement(found))
    parts.append(_cost(found))
    if found.left_out:
        parts.append("\n".join(f"- {line}" for line in told(found.left_out)))
    return "\n\n".join(parts) + "\n"


def _head(found: Compared) -> str:
    known = [{one["input"] for one in found.measured(removal)} for removal in found.removals]
    least = min(map(len, known), default=0)
    inputs = counted(found.inputs)
    if least < found.inputs:
        inputs = f"{least:,} of {inputs}, the others could not be measured"
    return (
        f"Compared on {inputs}. A cell is a mean over explanations with its {_LEVEL} interval; "
        "↑: higher is better, ↓: lower is better. Removal: what takes the place of the words that "
        "a metric takes away."
    )


def _of_removal(found: Compared, removal: str) -> str:
    total = sum(1 for _ in found.measured(removal))
    columns = [
        _cells([found.interval(method, metric, removal) for method in found.methods], total)
        for metric in found.metrics
    ]
    rows = [[name, *cells] for name, *cells in zip(found.methods, *columns, strict=True)]
    head = ["interpreter", *(f"{metric}{_arrow(found, metric)}" for metric in found.metrics)]
    return "\n".join([f"Removal: {removal}", "", *_table(head, rows)])


def _arrow(found: Compared, metric: str) -> str:
    return {True: " ↑", False: " ↓", None: ""}[found.better(metric)]


def _cells(intervals: Sequence[Interval], total: int) -> list[str]:
    """The cells of a metric: three decimals, more where the largest of them needs more."""
    largest = max((abs(one.mean) for one in intervals if one.count), default=0.0)
    decimals = 3
    if 0 < largest < 1:
        decimals = min(max(2 - math.floor(math.log10(largest)), 3), _MOST_DECIMALS)
    return [_cell(one, decimals, total) for one in intervals]


def _cell(one: Interval, decimals: int, total: int) -> str:
    if not one.count:
        return "-"
    ends = f"[{one.low:.{decimals}f}, {one.high:.{decimals}f}]"
    if math.isinf(one.high):
        ends = "[no interval: one input]"
    some = f" ({one.count:,} of {total:,})" if one.count < total else ""
    return f"{one.mean:.{decimals}f} {ends}{some}"


def _conclusions(conclusions: Sequence[Conclusion]) -> str:
    # What is said in the same words of several removals is said once.
    alike: dict[tuple[str, int, str], list[Conclusion]] = {}
    for one in conclusions:
        alike.setdefault((one.metric, one.inputs, body(one)), []).append(one)
    lines = [f"- {sentence(own[0], [one.removal for one in own])}" for own in alike.values() if own]
    how = (
        f"What follows, at {_LEVEL} (paired bootstrap over the same inputs, Holm's correction over "
        f"the methods; {CHANCE} has scores by chance):"
    )
    return "\n".join([how, "", *lines])


def _agreement(found: Compared) -> str:
    rows = [
        [
            one,
            *(
                "1" if one == other else f"{found.agreement(one, other).mean:.2f}"
                for other in found.methods
            ),
        ]
        for one in found.methods
    ]
    how = "Agreement: Spearman's rank correlation of the scores (1: the same order, 0: no relation)"
    return "\n".join([how, "", *_table(["", *found.methods], rows)])


def _cost(found: Compared) -> str:
    rows = [
        [name, _rounded(found.seconds[name]), _rounded(found.passes.get(name, 0))]
        for name in found.methods
    ]
    how = "Cost of an explanation, without the metrics (inputs share forward passes)"
    head = ["interpreter", "seconds per input", "forward passes per input"]
    return "\n".join([how, "", *_table(head, rows)])


def _rounded(value: float) -> str:
    """Three figures; `-` where nothing was counted."""
    if not value:
        return "-"
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "| " + " | ".join("---" for _ in head) + " |",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
