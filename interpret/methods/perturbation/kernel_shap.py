"""Shapley values by a weighted regression."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, Floats, UnitScores, everything, nothing
from ...coalitions.standard_errors import jackknife
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .sampled_method import SampledMethod


def kernel(sizes: np.ndarray, units: int) -> Floats:
    """The Shapley kernel of coalitions of k units, (n - 1) / (C(n, k) k (n - k))."""
    return np.array([(units - 1) / (comb(units, k) * k * (units - k)) for k in sizes.tolist()])


def every_coalition(units: int) -> Coalitions:
    """All coalitions but the empty and the whole one, `(2^units - 2, units)`."""
    numbers = np.arange(1, 2**units - 1)
    return (numbers[:, None] >> np.arange(units) & 1).astype(bool)


def paired_coalitions(units: int, pairs: int, generator: np.random.Generator) -> Coalitions:
    """Coalitions whose sizes are drawn by the Shapley kernel, each followed by its complement,
    `(2 * pairs, units)`."""
    sizes = np.arange(1, units)
    # The kernel's weight of all coalitions of a size.
    weights = 1.0 / (sizes * (units - sizes))
    drawn = generator.choice(sizes, size=pairs, p=weights / weights.sum())
    places = generator.random((pairs, units)).argsort(axis=1).argsort(axis=1)
    masks = places < drawn[:, None]
    return np.stack([masks, ~masks], axis=1).reshape(2 * pairs, units)


def regression(
    masks: Coalitions, values: Floats, weights: Floats, empty: float, whole: float
) -> Floats:
    """argmin_φ Σ_k π_k (F(m_k) - F(∅) - φ · m_k)² with Σ φ = F(x) - F(∅), `(units,)`.

    The constraint gives the last unit's value, so the rest is a regression without one.
    """
    # Imported here: it takes long, and only this needs it.
    from sklearn.linear_model import LinearRegression

    total = whole - empty
    columns = masks[:, :-1].astype(np.float64) - masks[:, -1:]
    wanted = values - empty - masks[:, -1] * total
    model = LinearRegression(fit_intercept=False).fit(columns, wanted, sample_weight=weights)
    return np.append(model.coef_, total - model.coef_.sum())


def kernel_shap(
    units: int, num_samples: int, exact_units: int, generator: np.random.Generator
) -> Estimator:
    """`regression` on every coalition where there are few units, which is exact; else on sampled
    pairs, with jackknife errors."""
    exact = units <= exact_units
    masks = (
        every_coalition(units)
        if exact
        else paired_coalitions(units, max(num_samples // 2, 1), generator)
    )
    values = yield np.concatenate([nothing(units), everything(units), masks])
    empty, whole, values = float(values[0]), float(values[1]), values[2:]
    if units == 1:
        return UnitScores(np.array([whole - empty]), empty_value=empty)
    if exact:
        scores = regression(masks, values, kernel(masks.sum(axis=1), units), empty, whole)
        return UnitScores(scores, empty_value=empty)

    def fit(pairs: np.ndarray) -> Floats:
        chosen = (2 * pairs[:, None] + np.arange(2)).ravel()
        return regression(masks[chosen], values[chosen], np.ones(len(chosen)), empty, whole)

    pairs = len(masks) // 2
    return UnitScores(fit(np.arange(pairs)), jackknife(fit, pairs), empty)


@SaliencyInterpreter.register("kernel-shap")
class KernelShap(SampledMethod):
    """score = argmin_φ Σ_k π(m_k) (F(x ⊙ m_k) - F(∅) - φ · m_k)², Σ φ = F(x) - F(∅).

    π(m) = (n - 1) / (C(n, |m|) |m| (n - |m|)) of n units. Over all coalitions the solution is the
    Shapley value; up to `exact_units` units it is computed so. Beyond, coalitions are drawn by
    their weight, each with its complement.

    Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions", theorem 2; Covert
    and Lee 2021, "Improving KernelSHAP: Practical Shapley Value Estimation via Linear Regression",
    section 4.2 (pairs).

    Args:
        predictor: The predictor whose predictions are explained.
        num_samples: Coalitions that are drawn where there are more units than `exact_units`.
        exact_units: Up to so many units all 2^n coalitions are computed.
        common: The seed, what is removed and how, and what every interpreter takes; see
            `SampledMethod`.

    Raises:
        ConfigurationError: If one of the numbers is none, or `exact_units` is above 16.
    """

    complete = True

    def __init__(
        self,
        predictor: Predictor,
        num_samples: int = 512,
        exact_units: int = 12,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.num_samples = checks.integer("num_samples", num_samples, least=2)
        self.exact_units = checks.integer("exact_units", exact_units, least=1, most=16)

    @property
    def n_evaluations(self) -> int:
        return self.num_samples

    def estimator(self, units: int) -> Estimator:
        return kernel_shap(units, self.num_samples, self.exact_units, self.generator())
