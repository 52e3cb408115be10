"""Shapley values by random orders, with their standard errors."""

from __future__ import annotations

from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, Floats, UnitScores, everything, nothing
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .sampled_method import SampledMethod

_ROUND = 8
# The orders of more units are too many to list, whatever the number of pairs.
_FEW = 10


def prefixes(orders: np.ndarray) -> Coalitions:
    """The coalitions that grow in some orders, without the empty and the whole one,
    `(orders * (units - 1), units)`."""
    places = orders.argsort(axis=1)
    sizes = np.arange(1, orders.shape[1])
    return (places[:, None, :] < sizes[None, :, None]).reshape(-1, orders.shape[1])


def marginal_contributions(
    orders: np.ndarray, values: Floats, empty: float, whole: float
) -> Floats:
    """F(S ∪ i) - F(S) of each unit i, S the units before it in an order, `(orders, units)`."""
    count, units = orders.shape
    ends = np.full((count, 1), 1.0)
    along = np.concatenate([ends * empty, values.reshape(count, units - 1), ends * whole], axis=1)
    contributions = np.empty((count, units))
    np.put_along_axis(contributions, orders, np.diff(along, axis=1), axis=1)
    return contributions


def shapley_sampling(
    units: int, num_pairs: int, tolerance: float | None, generator: np.random.Generator
) -> Estimator:
    """The mean of marginal contributions over random orders and their reverses, or over all orders
    where these are no more.

    Args:
        units: Units of the input.
        num_pairs: Pairs of an order and its reverse, at most.
        tolerance: The largest standard error at which to stop, as a share of |F(x) - F(∅)|; None
            for all pairs.
        generator: The source of randomness.
    """
    ends = yield np.concatenate([nothing(units), everything(units)])
    empty, whole = float(ends[0]), float(ends[1])
    if factorial(min(units, _FEW)) <= 2 * num_pairs:
        orders = np.array(list(permutations(range(units))))
        values = yield prefixes(orders)
        exact = marginal_contributions(orders, values, empty, whole).mean(axis=0)
        details = {"permutations": len(orders), "exact": True}
        return UnitScores(exact, empty_value=empty, details=details)
    found = np.empty((0, units))
    errors = np.full(units, np.inf)
    while len(found) < num_pairs:
        # Without a tolerance there is nothing to look at in between.
        pairs = min(num_pairs if tolerance is None else _ROUND, num_pairs - len(found))
        orders = generator.random((pairs, units)).argsort(axis=1)
        paired = np.stack([orders, orders[:, ::-1]], axis=1).reshape(2 * pairs, units)
        values = yield prefixes(paired)
        contributions = marginal_contributions(paired, values, empty, whole)
        found = np.concatenate([found, contributions.reshape(pairs, 2, units).mean(axis=1)])
        if len(found) > 1:
            errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        if tolerance is not None and errors.max() <= tolerance * abs(whole - empty):
            break
    details = {"permutations": 2 * len(found), "exact": False}
    if tolerance is not None:
        details["converged"] = bool(errors.max() <= tolerance * abs(whole - empty))
    return UnitScores(found.mean(axis=0), errors, empty, details=details)


@SaliencyInterpreter.register("shapley-sampling")
class ShapleySampling(SampledMethod):
    """score_i = mean over random orders π of F(π before i, and i) - F(π before i).

    Castro et al. 2009, "Polynomial calculation of the Shapley value based on sampling". Each order
    is followed by its reverse: Mitchell et al. 2022, "Sampling Permutations for Shapley Value
    Estimation", section 4.1. The standard error is that of the mean over pairs. Where there are no
    more orders than that, all are taken, and the scores are exact.

    Args:
        predictor: The predictor whose predictions are explained.
        num_pairs: Pairs of an order and its reverse, at most. Each pair takes 2 (n - 1) values of n
            units.
        tolerance: Stop where the largest standard error is at most this share of |F(x) - F(∅)|;
            None to go through all pairs.
        common: The seed, what is removed and how, and what every interpreter takes; see
            `SampledMethod`.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or is out of range.
    """

    complete = True

    def __init__(
        self,
        predictor: Predictor,
        num_pairs: int = 16,
        tolerance: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.num_pairs = checks.integer("num_pairs", num_pairs, least=2)
        self.tolerance = checks.optional_number("tolerance", tolerance, above=0)

    @property
    def n_evaluations(self) -> int:
        # Times the number of units.
        return 2 * self.num_pairs * 16

    def estimator(self, units: int) -> Estimator:
        return shapley_sampling(units, self.num_pairs, self.tolerance, self.generator())
