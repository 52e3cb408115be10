"""How much of the target's variance a unit takes part in."""

from __future__ import annotations

from typing import Any

import numpy as np
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, Floats, UnitScores
from ...coalitions.standard_errors import jackknife
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .sampled_method import SampledMethod


def designs(units: int, count: int, seed: int) -> Coalitions:
    """Two independent designs A and B of quasi-random coalitions, `(2, count, units)`."""
    # Imported here: it takes long, and only this needs it.
    from scipy.stats.qmc import Sobol as SobolSequence

    sequence = SobolSequence(d=2 * units, scramble=True, rng=np.random.default_rng(seed))
    drawn = sequence.random(count) < 0.5
    return drawn.reshape(count, 2, units).swapaxes(0, 1)


def total_indices(a: Floats, mixed: Floats) -> Floats:
    """S_Ti = 1/2n Σ_k (F(A_k) - F(A_k with unit i of B_k))² / Var F(A), `(units,)`.

    Args:
        a: F(A), `(count,)`.
        mixed: F(A with unit i of B), `(units, count)`.
    """
    variance = a.var()
    if variance == 0:
        return np.zeros(len(mixed))
    return ((a - mixed) ** 2).mean(axis=1) / (2 * variance)


def sobol(units: int, num_designs: int, seed: int) -> Estimator:
    """`total_indices` on `designs`, with jackknife errors."""
    a, b = designs(units, num_designs, seed)
    mixed = np.where(np.eye(units, dtype=bool)[:, None, :], b[None], a[None])
    values = yield np.concatenate([a, mixed.reshape(-1, units)])
    at_a, at_mixed = values[:num_designs], values[num_designs:].reshape(units, num_designs)

    def fit(chosen: np.ndarray) -> Floats:
        return total_indices(at_a[chosen], at_mixed[:, chosen])

    return UnitScores(fit(np.arange(num_designs)), jackknife(fit, num_designs))


@SaliencyInterpreter.register("sobol")
class Sobol(SampledMethod):
    """score_i = E[Var(F | all units but i)] / Var(F), the total Sobol index, of random coalitions.

    Fel et al. 2021, "Look at the Variance! Efficient Black-box Explanations with Sobol-based
    Sensitivity Analysis", equation 4, by Jansen's estimator on quasi-random coalitions.

    A share of the variance, so never negative: it says how much a unit matters, alone and together
    with others, and not for or against what.

    Args:
        predictor: The predictor whose predictions are explained.
        num_designs: Coalitions per design, a power of 2; (n + 1) times as many values of n units.
        common: The seed, what is removed and how, and what every interpreter takes; see
            `SampledMethod`.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or is out of range.
    """

    def __init__(self, predictor: Predictor, num_designs: int = 32, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.num_designs = checks.integer("num_designs", num_designs, least=2)
        if self.num_designs & (self.num_designs - 1):
            raise ConfigurationError(f"num_designs is a power of 2, not {self.num_designs}")

    @property
    def n_evaluations(self) -> int:
        # Times the number of units.
        return self.num_designs * 16

    def estimator(self, units: int) -> Estimator:
        return sobol(units, self.num_designs, self.seed % 2**63)
