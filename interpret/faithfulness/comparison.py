"""What came of comparing methods: means with intervals, agreement, cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..explanation import JsonDict
from .confidence import Interval, mean_interval
from .metric import Metric


@dataclass(frozen=True)
class Comparison:
    """What came of comparing methods.

    Attributes:
        methods: Their names, in the order that was asked for.
        metrics: The metrics' names.
        removals: The names of what took the place of units.
        records: Per input and explanation: `input`, `place`, `removal`, `measured` (by method and
            metric), `curves` (by metric and method), `agreement` (by pair of methods), and `errors`
            where methods or metrics failed; or `error` where nothing could be measured.
        seconds: Per method the seconds per input.
    """

    methods: list[str]
    metrics: list[str]
    removals: list[str]
    records: list[JsonDict] = field(repr=False)
    seconds: dict[str, float]

    def interval(self, method: str, metric: str, removal: str) -> Interval:
        """The mean of a metric over all explanations."""
        return mean_interval(
            [_number(record, method, metric) for record in self._measured(removal)]
        )

    def difference(self, method: str, other: str, metric: str, removal: str) -> Interval:
        """The mean of a metric's differences between two methods, over the same explanations.

        Its interval says more than two that overlap: what is hard for both cancels.
        """
        return mean_interval(
            [
                _number(record, method, metric) - _number(record, other, metric)
                for record in self._measured(removal)
            ]
        )

    def agreement(self, first: str, second: str, what: str = "rank") -> Interval:
        """How much two methods agree.

        Args:
            first: One.
            second: The other.
            what: "rank" for Spearman's correlation of the scores, "top" for the share of the three
                best units that both have.
        """
        key = "|".join(sorted((first, second)))
        return mean_interval(
            [
                _defined(record["agreement"][key][what])
                for record in self._measured(self.removals[0])
                if key in record["agreement"]
            ]
        )

    def curves(self, metric: str, removal: str) -> dict[str, list[list[float]]]:
        """Per method the curves of a metric, one for each explanation: the target's values as units
        are removed or put back; no method for a metric that has none."""
        found: dict[str, list[list[float]]] = {}
        for record in self._measured(removal):
            for method, curve in record.get("curves", {}).get(metric, {}).items():
                found.setdefault(method, []).append(curve)
        return found

    def _measured(self, removal: str) -> Iterator[JsonDict]:
        for record in self.records:
            if record["removal"] == removal and "error" not in record:
                yield record

    @property
    def errors(self) -> list[JsonDict]:
        """What could not be compared: `input`, `removal` and `error`, once for each input and
        message, with the first removal that failed. Of a method that failed the message begins with
        its name."""
        found: dict[tuple[int, str], JsonDict] = {}
        for one in self.records:
            place = {"input": one["input"], "removal": one["removal"]}
            own = [{**place, "error": error} for error in one.get("errors", ())]
            for record in [one] if "error" in one else own:
                found.setdefault((record["input"], record["error"]), record)
        return list(found.values())

    def rows(self) -> Iterator[JsonDict]:
        """Per method and removal the means, as they stand in the JSON lines of the table."""
        for removal in self.removals:
            for method in self.methods:
                found = {one: self.interval(method, one, removal) for one in self.metrics}
                yield {
                    "interpreter": method,
                    "removal": removal,
                    "seconds": self.seconds[method],
                    **{
                        one: {"mean": i.mean, "low": i.low, "high": i.high, "inputs": i.count}
                        for one, i in found.items()
                        if i.count
                    },
                }

    def to_markdown(self) -> str:
        """The tables as Markdown: one per removal, and the agreement between methods."""
        lines: list[str] = []
        for removal in self.removals:
            lines += [f"Removal: {removal}", ""]
            lines += _table(
                ["interpreter", *self.metrics, "seconds per input"],
                [
                    [
                        method,
                        *(str(self.interval(method, one, removal)) for one in self.metrics),
                        f"{self.seconds[method]:.3g}",
                    ]
                    for method in self.methods
                ],
            )
            lines.append("")
        if len(self.methods) > 1:
            lines += ["Agreement: Spearman's rank correlation", ""]
            lines += _table(
                ["", *self.methods],
                [
                    [
                        one,
                        *(
                            "1" if one == other else f"{self.agreement(one, other).mean:.2f}"
                            for other in self.methods
                        ),
                    ]
                    for one in self.methods
                ],
            )
        return "\n".join([*lines, "", _legend(self.metrics)]).strip() + "\n"


def _number(record: JsonDict, method: str, metric: str) -> float:
    """What a metric found for a method; NaN where it found nothing, or failed."""
    return _defined(record["measured"].get(method, {}).get(metric))


def _defined(value: float | None) -> float:
    return float("nan") if value is None else value


def _legend(metrics: Sequence[str]) -> str:
    """Which end of a number is the good one: the names of metrics do not say."""
    better: dict[str, list[str]] = {"higher": [], "lower": []}
    for name in metrics:
        kind = name.partition(" (")[0]
        if kind in Metric.list_available():
            higher = Metric.by_name(kind).higher_is_better  # type: ignore[attr-defined]
            better["higher" if higher else "lower"].append(name)
    told = [f"{way} is better for {', '.join(names)}" for way, names in better.items() if names]
    return f"mean [95 % interval]; {'; '.join(told)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "| " + " | ".join("---" for _ in head) + " |",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
