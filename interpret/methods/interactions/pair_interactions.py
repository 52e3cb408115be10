"""What two units do together beyond what each does alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, UnitScores, everything
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ..perturbation.perturbation_method import PerturbationMethod


def pair_interactions(units: int, best: int | None = None) -> Estimator:
    """Δ_ij = F(x) - F(x without i) - F(x without j) + F(x without both); scores are those of
    leave-one-out, F(x) - F(x without i).

    Args:
        units: Units of the input.
        best: Pairs of so many units only, those whose scores are largest by size; None for all.
    """
    singles = [(unit,) for unit in range(units)]
    values = yield np.concatenate([everything(units), _without(units, singles)])
    whole, losses = values[0], values[0] - values[1:]
    chosen = np.argsort(-np.abs(losses), kind="stable")[:best]
    pairs = list(combinations(sorted(chosen.tolist()), 2))
    if not pairs:
        return UnitScores(losses)
    both = yield _without(units, pairs)
    found = [
        (i, j, float(losses[i] + losses[j] - (whole - value)))
        for (i, j), value in zip(pairs, both, strict=True)
    ]
    return UnitScores(losses, interactions=found)


def _without(units: int, groups: Sequence[tuple[int, ...]]) -> Coalitions:
    masks = np.ones((len(groups), units), dtype=bool)
    for row, group in enumerate(groups):
        masks[row, list(group)] = False
    return masks


@SaliencyInterpreter.register("pair-interactions")
class PairInteractions(PerturbationMethod):
    """Δ_ij = F(x) - F(x without i) - F(x without j) + F(x without both).

    A positive number says that the target needs both, a negative one that either is enough. A
    unit's score is that of leave-one-out.

    Grabisch and Roubens 1999, "An axiomatic approach to the concept of interaction among players in
    cooperative games", section 2 (the second discrete derivative, here at the whole input).

    Args:
        predictor: The predictor whose predictions are explained.
        best: Pairs of so many units only, those that matter most alone; None for all pairs, which
            takes n²/2 values of n units.
        common: What is removed and how, and what every interpreter takes; see
            `PerturbationMethod`.

    Raises:
        ConfigurationError: If `best` is no integer of at least 2.
    """

    def __init__(self, predictor: Predictor, best: int | None = None, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.best = checks.optional_integer("best", best, least=2)

    @property
    def n_evaluations(self) -> int:
        return 128

    def estimator(self, units: int) -> Estimator:
        return pair_interactions(units, self.best)
