"""Means over inputs with bootstrap confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
FEWEST_RESAMPLED = 6
"""Of fewer inputs all values lie on one side of their mean too often for a bootstrap: 2 / 2^n is
more than 5 %."""
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
    """The mean of the values that are defined, with the expanded percentile bootstrap over inputs.

    Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 5.3; see
    `bootstrap_level`. Of fewer than six inputs there are too few resamples, and the interval is
    Student's t.

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
    mean, count, inputs = float(sums.sum() / counts.sum()), int(counts.sum()), len(sums)
    if inputs < FEWEST_RESAMPLED or np.ptp(sums / counts) == 0:
        spread = student_spread(sums, counts)
        return Interval(mean, mean - spread, mean + spread, count)
    alone = bool((counts == 1).all())
    found = bootstrap(
        (sums,) if alone else (sums, counts),
        np.mean if alone else _ratio,
        n_resamples=_RESAMPLES,
        confidence_level=bootstrap_level(inputs),
        method="percentile",
        paired=not alone,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), count)


def bootstrap_level(inputs: int) -> float:
    """The level of a percentile interval that is as wide as Student's t for so many inputs: the
    percentile bootstrap is too narrow by the factor sqrt((n - 1) / n) · z / t (Hesterberg 2015).

    Args:
        inputs: How many there are, 2 or more.
    """
    from scipy.stats import norm, t

    wide = math.sqrt(inputs / (inputs - 1)) * float(t.isf((1 - CONFIDENCE) / 2, inputs - 1))
    return 1 - 2 * float(norm.sf(wide))


def student_spread(sums: np.ndarray, counts: np.ndarray) -> float:
    """Half of the width of Student's t interval of the mean of all values; infinite for one input,
    which says nothing of the spread, and 0 where all inputs have the same mean.

    Args:
        sums: Per input the sum of its values, `(inputs,)`.
        counts: Likewise how many values it has. The mean is a ratio, whose variance is that of
            its residuals (Cochran 1977, "Sampling Techniques", section 6.4).
    """
    from scipy.stats import t

    inputs = len(sums)
    if inputs == 1:
        return math.inf
    residuals = (sums - counts * sums.sum() / counts.sum()) / counts.mean()
    error = math.sqrt(float((residuals**2).sum()) / (inputs - 1) / inputs)
    return error * float(t.isf((1 - CONFIDENCE) / 2, inputs - 1))


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    """The mean of all values, of their sums by input."""
    ratio: np.ndarray = sums.sum(axis=axis) / counts.sum(axis=axis)
    return ratio
