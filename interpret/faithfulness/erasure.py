"""What the target does when units are removed, or put back, in the order of their scores."""

from __future__ import annotations

from collections.abc import Callable, Generator

import numpy as np

from .. import checks
from ..coalitions.game import Coalitions, Floats
from .metric import Measured, Measurement, Metric, Scored

_SMALLEST = 1e-12


def removed(order: np.ndarray) -> Coalitions:
    """The first k units of an order removed, for k from 0 to all, `(units + 1, units)`."""
    return ~kept(order)


def kept(order: np.ndarray) -> Coalitions:
    """The first k units of an order kept alone, for k from 0 to all, `(units + 1, units)`."""
    places = np.argsort(order)
    return places[None, :] < np.arange(len(order) + 1)[:, None]


def greedy_order(units: int, lowering: bool) -> Generator[Coalitions, Floats, np.ndarray]:
    """Units in the order in which each removal lowers the target most, or else raises it most.

    The reachable limits of an area over the perturbation curve: Edin et al. 2024, "Normalized
    AOPC", section 4.2, with a beam of one.
    """
    stays = np.ones(units, dtype=bool)
    order: list[int] = []
    while stays.any():
        members = stays.nonzero()[0]
        masks = np.repeat(stays[None], len(members), axis=0)
        masks[np.arange(len(members)), members] = False
        values = yield masks
        order.append(int(members[np.argmin(values if lowering else -values)]))
        stays[order[-1]] = False
    return np.asarray(order)


class _Area(Metric):
    """The mean of a curve over k, normalised if asked for.

    Args:
        normalized: Whether 0 stands for random orders and 1 for the reachable limit; else the area
            itself, which is not comparable between models.
        random_orders: Random orders for the normalisation.

    Raises:
        ConfigurationError: If a parameter has the wrong type.
    """

    def __init__(self, normalized: bool = False, random_orders: int = 10) -> None:
        self.normalized = checks.boolean("normalized", normalized)
        self.random_orders = checks.integer("random_orders", random_orders, least=1)
        if normalized:  # 1 is the reachable limit, whichever end that is of the area itself.
            self.higher_is_better = True

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        units = len(scored.scores)
        values = yield self.masks(scored.order)
        area = self.area(values)
        if not self.normalized:
            return Measured(area, values.tolist())
        orders = [generator.permutation(units) for _ in range(self.random_orders)]
        drawn = yield np.concatenate([self.masks(order) for order in orders])
        chance = float(np.mean([self.area(one) for one in drawn.reshape(len(orders), -1)]))
        best = yield from self.limit(units)
        at_best = yield self.masks(best)
        limit = self.area(at_best)
        span = limit - chance
        value = (area - chance) / span if abs(span) > _SMALLEST else float("nan")
        return Measured(value, values.tolist())

    masks: Callable[[np.ndarray], Coalitions]
    """Of an order the coalitions of the curve, `(units + 1, units)`: `removed` or `kept`."""

    def limit(self, units: int) -> Generator[Coalitions, Floats, np.ndarray]:
        """The order with about the best area that there is."""
        if self.masks is removed:
            return (yield from greedy_order(units, lowering=True))
        # What is removed last, because it hurts most, is kept first.
        return (yield from greedy_order(units, lowering=False))[::-1]

    def area(self, values: Floats) -> float:
        """The number that a curve, `(units + 1,)`, stands for."""
        raise NotImplementedError(f"{type(self).__name__} does not implement area()")


@Metric.register("comprehensiveness")
class Comprehensiveness(_Area):
    """1/n Σ_k F(x) - F(x without the k best units), k from 1 to n.

    DeYoung et al. 2020, "ERASER", section 4.2 (AOPC over all k).
    """

    masks = staticmethod(removed)

    def area(self, values: Floats) -> float:
        return float((values[0] - values[1:]).mean()) if len(values) > 1 else float("nan")


@Metric.register("sufficiency")
class Sufficiency(_Area):
    """1/n Σ_k F(x) - F(the k best units alone), k from 0 to n - 1.

    DeYoung et al. 2020, "ERASER", section 4.2 (AOPC over all k).
    """

    higher_is_better = False

    masks = staticmethod(kept)

    def area(self, values: Floats) -> float:
        return float((values[-1] - values[:-1]).mean()) if len(values) > 1 else float("nan")


@Metric.register("deletion")
class Deletion(_Area):
    """The area under F(x without the k best units), k from 0 to n, as a share of the axis.

    Petsiuk et al. 2018, "RISE", section 4.2.
    """

    higher_is_better = False

    masks = staticmethod(removed)

    def area(self, values: Floats) -> float:
        return float(np.trapezoid(values) / max(len(values) - 1, 1))


@Metric.register("insertion")
class Insertion(_Area):
    """The area under F(the k best units alone), k from 0 to n, as a share of the axis.

    Petsiuk et al. 2018, "RISE", section 4.2.
    """

    masks = staticmethod(kept)

    def area(self, values: Floats) -> float:
        return float(np.trapezoid(values) / max(len(values) - 1, 1))


@Metric.register("log-odds")
class LogOdds(Metric):
    """log p(x without the best units) - log p(x).

    Shrikumar et al. 2017, "Learning Important Features Through Propagating Activation Differences",
    section 4.1, as for texts in Sanyal and Ren 2021. The target must be a probability.

    Args:
        share: Share of the units that is removed, at least one.

    Raises:
        ConfigurationError: If the share is none.
    """

    higher_is_better = False

    def __init__(self, share: float = 0.2) -> None:
        self.share = checks.number("share", share, above=0, most=1)

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        count = max(round(self.share * len(scored.scores)), 1)
        mask = np.ones(len(scored.scores), dtype=bool)
        mask[scored.order[:count]] = False
        values = yield np.stack([np.ones_like(mask), mask])
        before, after = np.log(np.clip(values, _SMALLEST, None)).tolist()
        return Measured(after - before)


@Metric.register("monotonicity")
class Monotonicity(Metric):
    """The share of units whose return, the least important first, does not lower the target.

    Luss et al. 2019, "Generating Contrastive Explanations with Monotonic Attribute Functions",
    section 5.
    """

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        values = yield kept(scored.order[::-1])
        steps = np.diff(values)
        return Measured(float((steps >= 0).mean()) if len(steps) else float("nan"), values.tolist())
