"""A linear model of the target around the input."""

from __future__ import annotations

from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, Floats, UnitScores, everything
from ...coalitions.standard_errors import jackknife
from ...errors import InterpretationError
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .sampled_method import SampledMethod

# What all copies that lack units weigh together at least; the input itself weighs 1.
_LEAST_WEIGHT = 1e-9
# The share of the penalty at which it leaves a tenth of a coefficient.
_LITTLE = 0.1


def neighbours(units: int, count: int, generator: np.random.Generator) -> Coalitions:
    """The input and `count - 1` copies of it from which a random number of random units is removed,
    `(count, units)`."""
    sizes = generator.integers(1, units + 1, size=count - 1)
    order = generator.random((count - 1, units)).argsort(axis=1).argsort(axis=1)
    return np.concatenate([everything(units), order >= sizes[:, None]])


def proximity(masks: Coalitions, kernel_width: float) -> Floats:
    """π(m) = exp(-D(m, 1)² / σ²) with the cosine distance D, `(rows,)`."""
    distances = 1 - np.sqrt(masks.mean(axis=1))
    return np.exp(-((distances / kernel_width) ** 2))


def ridge(masks: Coalitions, values: Floats, weights: Floats, penalty: float) -> Floats:
    """argmin_w Σ_k π_k (F(m_k) - w · m_k - b)² + λ ‖w‖², `(units,)`."""
    # Imported here: it takes long, and only this needs it.
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=penalty).fit(masks, values, sample_weight=weights)
    return np.asarray(model.coef_, dtype=np.float64)


def lime(
    units: int,
    num_samples: int,
    kernel_width: float,
    penalty: float,
    generator: np.random.Generator,
) -> Estimator:
    """The coefficients of `ridge` on `neighbours`, with jackknife errors."""
    masks = neighbours(units, num_samples, generator)
    values = yield masks
    weights = proximity(masks, kernel_width)
    lacking = float(weights[~masks.astype(bool).all(axis=1)].sum())
    if units and lacking < _LEAST_WEIGHT:
        raise InterpretationError(
            f"with kernel_width={kernel_width:g} no copy of the input that lacks units has any "
            "weight; raise it (0.25 unless told)"
        )
    warnings, cause = [], ""
    if units and lacking < _LITTLE * penalty:
        warnings.append(
            f"the copies of the input that lack units weigh {lacking:.1g} together, far less than "
            f"the penalty of {penalty:g}, so the scores are near 0 whatever the model does; raise "
            "kernel_width or num_samples, lower penalty, or use 'leave-one-out'"
        )
        cause = "the penalty leaves nothing of them"

    def fit(chosen: np.ndarray) -> Floats:
        return ridge(masks[chosen], values[chosen], weights[chosen], penalty)

    scores, errors = fit(np.arange(len(masks))), jackknife(fit, len(masks))
    return UnitScores(scores, errors, warnings=warnings, zero_cause=cause)


@SaliencyInterpreter.register("lime")
class Lime(SampledMethod):
    """score = argmin_w Σ_k π(m_k) (F(x ⊙ m_k) - w · m_k - b)² + λ ‖w‖².

    m_k are the input and copies without a random number of random units; π(m) = exp(-D(m, 1)² / σ²)
    with the cosine distance D.

    Ribeiro et al. 2016, "Why Should I Trust You?", equation 2 and section 3.4, as their code does
    it for texts.

    Args:
        predictor: The predictor whose predictions are explained.
        num_samples: Copies of the input, itself included.
        kernel_width: σ.
        penalty: λ.
        common: The seed, what is removed and how, and what every interpreter takes; see
            `SampledMethod`.

    Raises:
        ConfigurationError: If one of the numbers is none, or is out of its range.
    """

    def __init__(
        self,
        predictor: Predictor,
        num_samples: int = 256,
        kernel_width: float = 0.25,
        penalty: float = 1.0,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.num_samples = checks.integer("num_samples", num_samples, least=2)
        self.kernel_width = checks.number("kernel_width", kernel_width, above=0)
        self.penalty = checks.number("penalty", penalty, least=0)

    @property
    def n_evaluations(self) -> int:
        return self.num_samples

    def estimator(self, units: int) -> Estimator:
        generator = self.generator()
        return lime(units, self.num_samples, self.kernel_width, self.penalty, generator)
