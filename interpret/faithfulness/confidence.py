"""Means over inputs with bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean over inputs.

    Attributes:
        mean: The mean; NaN where no input has a value.
        low: The lower end of the 95 % interval.
        high: The upper end.
        count: How many values there are.
    """

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if not self.count:
            return "-"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(
    values: Sequence[float], seed: int = 0, groups: Sequence[Hashable] | None = None
) -> Interval:
    """The mean of the values that are defined, with the percentile bootstrap over inputs.

    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.

    Args:
        values: A number per explanation; NaN where it is not defined.
        seed: Seed of the resamples.
        groups: Per value the input that it belongs to: inputs are drawn whole, for what one has
            several explanations of is not independent. None where each value is an input of its
            own.
    """
    # Imported here: it takes long, and only this needs it.
    from scipy.stats import bootstrap

    by_input: dict[Hashable, list[float]] = {}
    for number, value in enumerate(values):
        if np.isfinite(value):
            by_input.setdefault(number if groups is None else groups[number], []).append(value)
    if not by_input:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    sums = np.array([sum(own) for own in by_input.values()])
    counts = np.array([len(own) for own in by_input.values()])
    mean, count = float(sums.sum() / counts.sum()), int(counts.sum())
    if len(sums) == 1 or np.ptp(sums / counts) == 0:
        # One input says nothing of the spread; equal ones have none.
        spread = np.inf if len(sums) == 1 else 0.0
        return Interval(mean, mean - spread, mean + spread, count)
    alone = bool((counts == 1).all())
    found = bootstrap(
        (sums,) if alone else (sums, counts),
        np.mean if alone else _ratio,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        paired=not alone,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), count)


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    """The mean of all values, of their sums by input."""
    ratio: np.ndarray = sums.sum(axis=axis) / counts.sum(axis=axis)
    return ratio
