"""Standard errors of estimates by running the estimator again on parts of its samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .game import Floats, Integers

_GROUPS = 20


def jackknife(fit: Callable[[Integers], Floats], samples: int, groups: int = _GROUPS) -> Floats:
    """The delete-a-group jackknife: se² = (g - 1)/g Σ (θ₍ⱼ₎ - θ̄)² over g groups that are left out.

    Tukey 1958; Kott 2001, "The delete-a-group jackknife".

    Args:
        fit: The estimate from the samples with some numbers, `(units,)`.
        samples: How many there are, in random order.
        groups: Into how many groups they are put.

    Returns:
        `(units,)`; infinite where there are too few samples to say.
    """
    numbers = np.arange(samples)
    groups = min(groups, samples)
    if groups < 2:
        return np.full_like(fit(numbers), np.inf)
    without = np.stack([fit(numbers[numbers % groups != group]) for group in range(groups)])
    spread = ((without - without.mean(0)) ** 2).sum(0)
    return np.sqrt((groups - 1) / groups * spread)


def bootstrap(
    fit: Callable[[Integers], Floats],
    samples: int,
    resamples: int,
    generator: np.random.Generator,
) -> Floats:
    """The standard deviation of an estimate over samples that are drawn again with replacement.

    Efron 1979, "Bootstrap methods: another look at the jackknife".

    Args:
        fit: The estimate from the samples with some numbers, `(units,)`.
        samples: How many there are.
        resamples: How often they are drawn again.
        generator: The source of randomness.

    Returns:
        `(units,)`.
    """
    drawn = generator.integers(0, samples, size=(resamples, samples))
    return np.stack([fit(numbers) for numbers in drawn]).std(0, ddof=1)
