"""Which parts of an input a prediction rests on, from few ablations, whatever its length."""

from __future__ import annotations

from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, Floats, UnitScores
from ...coalitions.standard_errors import bootstrap
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .sampled_method import SampledMethod


def ablations(units: int, count: int, generator: np.random.Generator) -> Coalitions:
    """m_k ~ Bernoulli(½), `(count, units)`."""
    return generator.random((count, units)) < 0.5


def lasso(masks: Coalitions, values: Floats, penalty: float) -> tuple[Floats, Floats]:
    """argmin_w 1/2n Σ_k (F(m_k) - w · m̂_k - b)² + λ ‖w‖₁ with standardised columns m̂.

    Returns:
        The coefficients of the columns as they are, `(units,)`, and how far at most the penalty
        moves each of them where columns are uncorrelated, λ / σ, `(units,)`.
    """
    # Imported here: it takes long, and only this needs it.
    from sklearn.linear_model import Lasso

    scale = masks.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    standardised = (masks - masks.mean(axis=0)) / scale
    model = Lasso(alpha=penalty, max_iter=10_000, random_state=0).fit(standardised, values)
    return np.asarray(model.coef_, dtype=np.float64) / scale, penalty / scale


def context_cite(
    units: int,
    num_ablations: int,
    penalty: float,
    resamples: int,
    generator: np.random.Generator,
) -> Estimator:
    """`lasso` on `ablations`; the errors are those of a bootstrap and of the penalty."""
    masks = ablations(units, num_ablations, generator)
    values = yield masks
    scores, shrunk = lasso(masks, values, penalty)

    def fit(chosen: np.ndarray) -> Floats:
        return lasso(masks[chosen], values[chosen], penalty)[0]

    sampled = bootstrap(fit, num_ablations, resamples, generator)
    # Where the values are all the same, nothing depends on any unit.
    cause = (
        f"what it makes of the target, if anything, is less than the penalty of {penalty:g} lets "
        "through; lower penalty (0.01 unless told)"
        if np.ptp(values) > 0
        else ""
    )
    return UnitScores(scores, np.hypot(sampled, shrunk), zero_cause=cause)


@SaliencyInterpreter.register("context-cite")
class ContextCite(SampledMethod):
    """score = argmin_w 1/2n Σ_k (F(x ⊙ m_k) - w · m_k - b)² + λ ‖w‖₁, m_k ~ Bernoulli(½).

    Cohen-Wang et al. 2024, "ContextCite: Attributing Model Generation to Context", equation 2. The
    paper takes for F the logit of the probability of what was generated, and a sentence for a unit:
    `{"target": "log-odds", "granularity": "sentence"}`.

    The standard error of a score has two parts: the bootstrap of the ablations, and what the
    penalty takes away from a coefficient.

    Args:
        predictor: The predictor whose predictions are explained.
        num_ablations: Ablated copies of the input, whatever its length.
        penalty: λ, for columns of unit variance.
        resamples: Bootstrap samples for the standard errors.
        common: The seed, what is removed and how, and what every interpreter takes; see
            `SampledMethod`.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or is out of range.
    """

    def __init__(
        self,
        predictor: Predictor,
        num_ablations: int = 64,
        penalty: float = 0.01,
        resamples: int = 100,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.num_ablations = checks.integer("num_ablations", num_ablations, least=2)
        self.penalty = checks.number("penalty", penalty, above=0)
        self.resamples = checks.integer("resamples", resamples, least=2)

    @property
    def n_evaluations(self) -> int:
        return self.num_ablations

    def estimator(self, units: int) -> Estimator:
        generator = self.generator()
        return context_cite(units, self.num_ablations, self.penalty, self.resamples, generator)
