"""What came of comparing methods: means with intervals, what follows, agreement, cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ...explanation import JsonDict
from ..confidence import Interval, mean_interval
from ..metric import Metric
from .conclusion import Conclusion, concluded
from .paired import Draws, Values
from .sentences import sentence
from .tables import markdown

_END = {True: "higher", False: "lower", None: None}


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
        passes: Per method the model's forward passes per input; inputs share them.
        higher_is_better: Per metric which end is the good one; of one that is not there its class
            says it.
        left_out: By name why a method or a removal ("removal mask") was left out before the work.
    """

    methods: list[str]
    metrics: list[str]
    removals: list[str]
    records: list[JsonDict] = field(repr=False)
    seconds: dict[str, float]
    passes: dict[str, float] = field(default_factory=dict)
    higher_is_better: Mapping[str, bool] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def interval(self, method: str, metric: str, removal: str) -> Interval:
        """The mean of a metric over all explanations, inputs drawn whole."""
        records = list(self.measured(removal))
        values = [_number(record, method, metric) for record in records]
        return mean_interval(values, groups=[record["input"] for record in records])

    def difference(self, method: str, other: str, metric: str, removal: str) -> Interval:
        """The mean of a metric's differences between two methods, over the same explanations.

        Its interval says more than two that overlap: what is hard for both cancels.
        """
        records = list(self.measured(removal))
        values = [
            _number(record, method, metric) - _number(record, other, metric) for record in records
        ]
        return mean_interval(values, groups=[record["input"] for record in records])

    @cached_property
    def conclusions(self) -> list[Conclusion]:
        """What follows, metric by metric and removal by removal: which methods are best, which
        cannot be distinguished from them, and which are no better than `random`."""
        draws = Draws()
        return [
            concluded(
                metric,
                removal,
                self.better(metric) is not False,
                {method: self._values(method, metric, removal) for method in self.methods},
                draws,
            )
            for metric in self.metrics
            for removal in self.removals
        ]

    def agreement(self, first: str, second: str, what: str = "rank") -> Interval:
        """How much two methods agree.

        Args:
            first: One.
            second: The other.
            what: "rank" for Spearman's correlation of the scores, "top" for the share of the three
                best units that both have.
        """
        key = "|".join(sorted((first, second)))
        both = [one for one in self.measured(self.removals[0]) if key in one["agreement"]]
        values = [_defined(record["agreement"][key][what]) for record in both]
        return mean_interval(values, groups=[record["input"] for record in both])

    def curves(self, metric: str, removal: str) -> dict[str, list[list[float]]]:
        """Per method the curves of a metric, one for each explanation: the target's values as units
        are removed or put back; no method for a metric that has none."""
        found: dict[str, list[list[float]]] = {}
        for record in self.measured(removal):
            for method, curve in record.get("curves", {}).get(metric, {}).items():
                found.setdefault(method, []).append(curve)
        return found

    def better(self, metric: str) -> bool | None:
        """Whether higher is better; None where nobody knows the metric."""
        if metric in self.higher_is_better:
            return self.higher_is_better[metric]
        kind = metric.partition(" (")[0]
        if kind not in Metric.list_available():
            return None
        return bool(Metric.by_name(kind).higher_is_better)  # type: ignore[attr-defined]

    def measured(self, removal: str) -> Iterator[JsonDict]:
        """The records of a removal that have numbers."""
        for record in self.records:
            if record["removal"] == removal and "error" not in record:
                yield record

    @property
    def inputs(self) -> int:
        """How many inputs there are, those that failed included."""
        return len({record["input"] for record in self.records})

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
        """Per method and removal the means, as they stand in the JSON lines of the table; an end
        of an interval is None where one input says nothing of the spread."""
        standing = {(one.metric, one.removal): one.standing for one in self.conclusions}
        for removal in self.removals:
            for method in self.methods:
                found = {one: self.interval(method, one, removal) for one in self.metrics}
                yield {
                    "interpreter": method,
                    "removal": removal,
                    "seconds": self.seconds[method],
                    "passes": self.passes.get(method),
                    **{
                        one: {
                            "mean": i.mean,
                            "low": i.low if math.isfinite(i.low) else None,
                            "high": i.high if math.isfinite(i.high) else None,
                            "inputs": i.count,
                            "better": _END[self.better(one)],
                            **standing[one, removal](method),
                        }
                        for one, i in found.items()
                        if i.count
                    },
                }

    def conclusion_rows(self) -> Iterator[JsonDict]:
        """Per metric and removal what follows, with its numbers and the sentence (`conclusion`)."""
        for one in self.conclusions:
            yield {**one.to_json(), "conclusion": sentence(one)}

    def to_markdown(self) -> str:
        """The tables as Markdown: one per removal, what follows from them, the agreement between
        methods, and what they cost."""
        return markdown(self)

    def _values(self, method: str, metric: str, removal: str) -> Values:
        """What is defined, by input and explanation of it."""
        found = {
            (record["input"], record["place"]): _number(record, method, metric)
            for record in self.measured(removal)
        }
        return {key: value for key, value in found.items() if math.isfinite(value)}


def _number(record: JsonDict, method: str, metric: str) -> float:
    """What a metric found for a method; NaN where it found nothing, or failed."""
    return _defined(record["measured"].get(method, {}).get(metric))


def _defined(value: float | None) -> float:
    return float("nan") if value is None else value
