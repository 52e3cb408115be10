"""What follows from a comparison: which methods are best, and which no better than `random`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...explanation import JsonDict
from .paired import Draws, Paired, Values, family, fewest_inputs

CHANCE = "random"
"""The method that every other is held against."""


@dataclass(frozen=True)
class Conclusion:
    """What one metric says of the methods, with one removal.

    Attributes:
        metric: The metric's name.
        removal: The removal's name.
        higher_is_better: Which end of it is the good one.
        inputs: On how many inputs all `means` are: those that all of these methods have.
        means: By method its mean there, `random` included. A method that has a number for fewer
            than half of the inputs is not among them.
        best: The method with the best mean, `random` left out; None where there is none.
        behind: The best against each other method, `random` left out.
        beyond: Each method, `random` left out, against `random`.
        left_out: The methods that have a number for fewer than half of the inputs.
        unmeasured: Those of them that have none at all.
    """

    metric: str
    removal: str
    higher_is_better: bool
    inputs: int
    means: dict[str, float]
    best: str | None
    behind: list[Paired]
    beyond: list[Paired]
    left_out: list[str]
    unmeasured: list[str]

    @property
    def too_few(self) -> bool:
        """Whether so few inputs could say nothing, whatever they show."""
        families = [one for one in (self.behind, self.beyond) if one]
        return all(max(p.inputs for p in one) < fewest_inputs(len(one)) for one in families)

    @property
    def fewest(self) -> int:
        """The inputs below which nothing can be said of these methods."""
        families = [len(one) for one in (self.behind, self.beyond) if one]
        return min(map(fewest_inputs, families), default=0)

    @property
    def tied(self) -> list[str]:
        """The methods that cannot be distinguished from the best."""
        return [one.other for one in self.behind if not self._better(one)]

    @property
    def worse(self) -> list[str]:
        """The methods that the best is better than."""
        return [one.other for one in self.behind if self._better(one)]

    @property
    def not_better_than_random(self) -> list[str]:
        """The methods that have shown nothing, those that are worse than `random` included."""
        return [one.method for one in self.beyond if not self._better(one)]

    @property
    def worse_than_random(self) -> list[str]:
        """The methods that `random` is better than."""
        return [one.method for one in self.beyond if one.distinguished and not self._better(one)]

    def _better(self, one: Paired) -> bool:
        """Whether the one is better than the other, for all that chance could do."""
        return one.distinguished and (one.mean > 0) == self.higher_is_better

    def standing(self, method: str) -> JsonDict:
        """What is said of a method.

        Args:
            method: Its name.

        Returns:
            `place`: "best", "tied" with the best, "worse", or None where nothing is said;
            `better_than_random`: true, false, or None.
        """
        places = {**dict.fromkeys(self.tied, "tied"), **dict.fromkeys(self.worse, "worse")}
        places[self.best or ""] = "best"
        known = {one.method: self._better(one) for one in self.beyond}
        if self.too_few:
            places, known = {}, {}
        return {"place": places.get(method), "better_than_random": known.get(method)}

    def to_json(self) -> JsonDict:
        """All of it; what is not defined is None."""
        return _plain(
            {
                "metric": self.metric,
                "removal": self.removal,
                "better": "higher" if self.higher_is_better else "lower",
                "inputs": self.inputs,
                "means": self.means,
                "best": self.best,
                "not_distinguishable_from_best": self.tied,
                "worse_than_best": self.worse,
                "not_better_than_random": self.not_better_than_random,
                "worse_than_random": self.worse_than_random,
                "too_few_inputs": self.too_few,
                "best_minus_other": [asdict(one) for one in self.behind],
                "method_minus_random": [asdict(one) for one in self.beyond],
                "left_out": self.left_out,
                "unmeasured": self.unmeasured,
            }
        )


def concluded(
    metric: str,
    removal: str,
    higher_is_better: bool,
    values: Mapping[str, Values],
    draws: Draws | None = None,
) -> Conclusion:
    """What follows from what was measured by one metric with one removal.

    Args:
        metric: The metric's name.
        removal: The removal's name.
        higher_is_better: Which end of it is the good one.
        values: By method, by input and explanation, the values that are defined.
        draws: The resamples, which conclusions may share; by default those of seed 0.
    """
    draws = draws or Draws()
    known = {key for own in values.values() for key in own}
    enough = [name for name, own in values.items() if 2 * len(own) >= len(known) > 0]
    common = sorted(key for key in known if all(key in values[name] for name in enough))
    means = {
        name: float(np.mean([values[name][key] for key in common])) for name in enough if common
    }
    others = [name for name in means if name != CHANCE]
    way = 1 if higher_is_better else -1
    best = max(others, key=lambda name: way * means[name], default=None)
    behind = (
        family([(best, name) for name in others if name != best], values, draws) if best else []
    )
    beyond = family([(name, CHANCE) for name in others], values, draws) if CHANCE in means else []
    return Conclusion(
        metric,
        removal,
        higher_is_better,
        len({number for number, _ in common}),
        means,
        best,
        behind,
        beyond,
        [name for name in values if name not in means],
        [name for name, own in values.items() if not own],
    )


def _plain(value: Any) -> Any:
    """JSON has neither NaN nor infinity."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
