"""Whether the best units are those of a known reason."""

from __future__ import annotations

import numpy as np

from .metric import Measured, Measurement, Metric, Scored


class _AgainstRationale(Metric):
    """A metric that needs no values of the target."""

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        yield np.ones((1, len(scored.scores)), dtype=bool)
        known = scored.rationale
        if known is None or not known.any():
            return Measured(float("nan"))
        return Measured(self.compare(scored, known))

    def compare(self, scored: Scored, rationale: np.ndarray) -> float:
        """The number for scores and a reason of at least one unit."""
        raise NotImplementedError(f"{type(self).__name__} does not implement compare()")


def best_units(scored: Scored, count: int) -> np.ndarray:
    """Whether a unit is among the best so many, `(units,)`."""
    chosen = np.zeros(len(scored.scores), dtype=bool)
    chosen[scored.order[:count]] = True
    return chosen


@Metric.register("rationale-auprc")
class RationaleAuprc(_AgainstRationale):
    """The area under the precision-recall curve of the scores for the units of the reason.

    DeYoung et al. 2020, "ERASER", section 4.1.
    """

    def compare(self, scored: Scored, rationale: np.ndarray) -> float:
        # Imported here: it takes long, and only this needs it.
        from sklearn.metrics import average_precision_score

        return float(average_precision_score(rationale, scored.scores))


@Metric.register("rationale-f1")
class RationaleF1(_AgainstRationale):
    """F1 of as many of the best units as the reason has.

    DeYoung et al. 2020, "ERASER", section 4.1 (token F1).
    """

    def compare(self, scored: Scored, rationale: np.ndarray) -> float:
        chosen = best_units(scored, int(rationale.sum()))
        return float(2 * (chosen & rationale).sum() / (chosen.sum() + rationale.sum()))


@Metric.register("rationale-iou")
class RationaleIou(_AgainstRationale):
    """Intersection over union of the reason and as many of the best units as it has.

    DeYoung et al. 2020, "ERASER", section 4.1 (IOU).
    """

    def compare(self, scored: Scored, rationale: np.ndarray) -> float:
        chosen = best_units(scored, int(rationale.sum()))
        return float((chosen & rationale).sum() / (chosen | rationale).sum())
