"""Means over inputs with bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean over inputs.

    Attributes:
        mean: The mean; NaN where no input has a value.
        low: The lower end of the 95 % interval.
        high: The upper end.
        count: How many inputs have a value.
    """

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if not self.count:
            return "-"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """The mean of the values that are defined, with the percentile bootstrap over inputs.

    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.

    Args:
        values: A number per input; NaN where it is not defined.
        seed: Seed of the resamples.
    """
    # Imported here: it takes long, and only this needs it.
    from scipy.stats import bootstrap

    defined = np.asarray([value for value in values if np.isfinite(value)])
    if not len(defined):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    mean = float(defined.mean())
    if len(defined) == 1 or np.ptp(defined) == 0:
        # One input says nothing of the spread; equal ones have none.
        spread = np.inf if len(defined) == 1 else 0.0
        return Interval(mean, mean - spread, mean + spread, len(defined))
    found = bootstrap(
        (defined,),
        np.mean,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high), len(defined))
