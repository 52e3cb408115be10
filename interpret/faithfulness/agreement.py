"""Whether the scores say what single removals, or random ones, do to the target."""

from __future__ import annotations

import numpy as np

from .. import checks
from .metric import Measured, Measurement, Metric, Scored


@Metric.register("tau-leave-one-out")
class TauLeaveOneOut(Metric):
    """Kendall's τ-b of the scores and F(x) - F(x without i).

    Jain and Wallace 2019, "Attention is not Explanation", section 4.1; Attanasio et al. 2023,
    "ferret".
    """

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        # Imported here: it takes long, and only this needs it.
        from scipy.stats import kendalltau

        units = len(scored.scores)
        masks = np.concatenate([np.ones((1, units), bool), ~np.eye(units, dtype=bool)])
        values = yield masks
        if units < 2:
            return Measured(float("nan"))
        return Measured(float(kendalltau(scored.scores, values[0] - values[1:]).statistic))


@Metric.register("infidelity")
class Infidelity(Metric):
    """E_I (β Σ_{i ∈ I} score_i - (F(x) - F(x without I)))² of random sets I of units.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", definition 2.1, with
    the scale β that fits best where the scores are not in units of the target (their section 3.1).

    Args:
        num_samples: Random sets, each of a random size.
        scaled: Whether β is fitted; else it is 1.

    Raises:
        ConfigurationError: If a parameter has the wrong type.
    """

    higher_is_better = False

    def __init__(self, num_samples: int = 64, scaled: bool = True) -> None:
        self.num_samples = checks.integer("num_samples", num_samples, least=1)
        self.scaled = checks.boolean("scaled", scaled)

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        units = len(scored.scores)
        sizes = generator.integers(1, units + 1, size=self.num_samples)
        places = generator.random((self.num_samples, units)).argsort(axis=1).argsort(axis=1)
        masks = places >= sizes[:, None]
        values = yield np.concatenate([np.ones((1, units), bool), masks])
        losses = values[0] - values[1:]
        said = ~masks @ scored.scores
        squared = float(said @ said)
        beta = float(said @ losses) / squared if self.scaled and squared > 0 else 1.0
        return Measured(float(((beta * said - losses) ** 2).mean()))


@Metric.register("completeness-error")
class CompletenessError(Metric):
    """|F(x) - F(x') - Σ scores| / |F(x) - F(x')|, as the explanation states it.

    Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", proposition 1. Not defined
    for a method that promises no sum; completeness is not faithfulness.
    """

    higher_is_better = False

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        yield np.ones((1, len(scored.scores)), dtype=bool)
        return Measured(float("nan") if scored.delta is None else abs(scored.delta))
