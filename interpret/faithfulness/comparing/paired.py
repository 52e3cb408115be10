"""Differences of two methods on the same inputs, and how many inputs would tell them apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..confidence import CONFIDENCE, FEWEST_RESAMPLED, bootstrap_level, student_spread

_RESAMPLES = 10_000
_AT_ONCE = 200_000
_IN_TAIL = 10
_KEPT = 2_000
_POWER = 0.8
_MOST_INPUTS = 1_000_000

Values = Mapping[tuple[int, int], float]
"""By input and explanation of it what was measured; where nothing was, it is not there."""


@dataclass(frozen=True)
class Paired:
    """The mean difference of one method from another, over the inputs that both have.

    Attributes:
        method: The one.
        other: The other.
        mean: The mean of `method` - `other`; NaN where they have no input in common.
        low: The lower end of its 95 % interval, not corrected for how many are compared.
        high: The upper end.
        inputs: How many inputs both have.
        p: How often chance alone gives a mean as far from 0, if there is no difference.
        adjusted: The same after Holm's correction over the comparisons of its family.
        needed: About how many inputs would distinguish the two, if the difference is what was
            seen; None where these inputs do, nothing differs, there is one input alone, or a
            million would not do.
    """

    method: str
    other: str
    mean: float
    low: float
    high: float
    inputs: int
    p: float
    adjusted: float = math.nan
    needed: int | None = None

    @property
    def distinguished(self) -> bool:
        """Whether the two are distinguished, at the confidence of the intervals."""
        return self.adjusted < 1 - CONFIDENCE


class Draws:
    """How often each input is in each resample: the same for all pairs that have as many inputs.

    Args:
        seed: The source of randomness.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._kept: tuple[int, list[np.ndarray]] = (0, [])

    def means(self, sums: Sequence[np.ndarray], counts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The means of all resamples of each pair.

        Args:
            sums: Per pair, per input the sum of its values, `(inputs,)`.
            counts: Likewise how many values it has.

        Returns:
            Per pair `(resamples,)`; empty for one without inputs.
        """
        found = [np.empty(0)] * len(sums)
        for inputs in sorted({len(one) for one in sums} - {0}):
            own = [number for number, one in enumerate(sums) if len(one) == inputs]
            above, below = (np.stack([each[n] for n in own], axis=1) for each in (sums, counts))
            parts = [(one @ above) / (one @ below) for one in self._drawn(inputs)]
            for number, means in zip(own, np.concatenate(parts).T, strict=True):
                found[number] = means
        return found

    def _drawn(self, inputs: int) -> Iterator[np.ndarray]:
        """The resamples in pieces that fit into memory, `(some, inputs)`."""
        if self._kept[0] == inputs:
            yield from self._kept[1]
            return
        generator = np.random.default_rng(self._seed)
        pieces, left = [], _RESAMPLES
        while left:
            some = min(left, max(_AT_ONCE // inputs, 1))
            # Counting what is drawn is several times as fast as a multinomial, and the same.
            drawn = generator.integers(0, inputs, (some, inputs))
            drawn += inputs * np.arange(some)[:, None]
            drawn = np.bincount(drawn.ravel(), minlength=some * inputs).reshape(some, inputs)
            if inputs <= _KEPT:
                pieces.append(drawn.astype(np.uint16))
            yield drawn
            left -= some
        if pieces:
            self._kept = (inputs, pieces)


def family(
    pairs: Sequence[tuple[str, str]], values: Mapping[str, Values], draws: Draws
) -> list[Paired]:
    """Compares pairs of methods by the paired bootstrap over inputs, with Holm's correction.

    The percentile bootstrap (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section
    13.3) of the mean over explanations, inputs drawn whole. Its interval, and what it says of
    chance, are widened to Student's t, as they are too narrow for few inputs (Hesterberg 2015,
    "What Teachers Should Know About the Bootstrap", the expanded percentile interval). The chance
    is never below 2 / 2^inputs: as often all differences have the same sign by chance. Holm 1979,
    "A Simple Sequentially Rejective Multiple Test Procedure".

    Args:
        pairs: Of each pair the one and the other.
        values: By method what was measured.
        draws: The resamples.

    Returns:
        What came of each pair, in order.
    """
    sums: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    for one, other in pairs:
        own, others = values[one], values[other]
        both = sorted(own.keys() & others.keys())
        _, owners = np.unique([number for number, _ in both], return_inverse=True)
        differences = [_difference(own[key], others[key]) for key in both]
        sums.append(np.bincount(owners, differences))
        counts.append(np.bincount(owners).astype(float))
    resampled = draws.means(sums, counts)
    found = [
        _paired(*pair, total, count, means)
        for pair, total, count, means in zip(pairs, sums, counts, resampled, strict=True)
    ]
    adjusted = holm([one.p for one in found])
    found = [replace(one, adjusted=p) for one, p in zip(found, adjusted, strict=True)]
    return [
        replace(one, needed=_needed(one, total / count, len(pairs)))
        for one, total, count in zip(found, sums, counts, strict=True)
    ]


def fewest_inputs(comparisons: int) -> int:
    """How many inputs must all point the same way before one of so many comparisons says anything:
    the least n with 2 / 2^n · comparisons < 1 - confidence.

    Args:
        comparisons: How many pairs a family has, 1 or more.
    """
    return math.floor(1 + math.log2(comparisons / (1 - CONFIDENCE))) + 1


def holm(chances: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order that was given; NaN stays, and counts for nothing.

    Args:
        chances: The p-values of a family.
    """
    found = [math.nan] * len(chances)
    known = sorted((p, number) for number, p in enumerate(chances) if not math.isnan(p))
    largest = 0.0
    for rank, (p, number) in enumerate(known):
        largest = max(largest, min(p * (len(known) - rank), 1.0))
        found[number] = largest
    return found


def _difference(one: float, other: float) -> float:
    """What single precision cannot tell apart is the same."""
    return 0.0 if math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-9) else one - other


def _paired(
    one: str, other: str, sums: np.ndarray, counts: np.ndarray, means: np.ndarray
) -> Paired:
    inputs = len(sums)
    if not inputs:
        return Paired(one, other, math.nan, math.nan, math.nan, 0, math.nan)
    mean = float(sums.sum() / counts.sum())
    p = 1.0 if inputs == 1 else _chance(means, inputs)
    if inputs < FEWEST_RESAMPLED:
        spread = student_spread(sums, counts)
        return Paired(one, other, mean, mean - spread, mean + spread, inputs, p)
    tail = (1 - bootstrap_level(inputs)) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Paired(one, other, mean, float(low), float(high), inputs, p)


def _chance(means: np.ndarray, inputs: int) -> float:
    # Imported here: it takes long, and only this needs it.
    from scipy.stats import norm, t

    beyond = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p = min(2 * (beyond + 1) / (len(means) + 1), 1.0)
    score = float(norm.isf(p / 2))
    spread = float(means.std())
    if beyond < _IN_TAIL:
        # So few say nothing of how small the chance is: as many as a normal tail would have.
        score = max(score, abs(float(means.mean())) / spread if spread else math.inf)
    score *= math.sqrt((inputs - 1) / inputs)
    return min(max(2 * float(t.sf(score, inputs - 1)), 2.0 ** (1 - inputs)), 1.0)


def _needed(found: Paired, differences: np.ndarray, comparisons: int) -> int | None:
    """The inputs at which a normal test of this mean and spread has a power of 80 %, at the level
    that Holm's correction begins with; two figures of it, rounded up."""
    from scipy.stats import norm

    if found.distinguished or found.inputs < 2 or not found.mean:
        return None
    level = (1 - CONFIDENCE) / (2 * comparisons)
    ratio = (norm.isf(level) + norm.isf(1 - _POWER)) * differences.std(ddof=1) / found.mean
    inputs = max(math.ceil(ratio**2), fewest_inputs(comparisons), found.inputs + 1)
    if inputs > _MOST_INPUTS:
        return None
    step = 10 ** max(len(str(inputs)) - 2, 0)
    return math.ceil(inputs / step) * step
