"""What methods that remove parts of the input have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...coalitions.embedding_game import EmbeddingGame
from ...coalitions.game import Estimator, UnitScores, play
from ...coalitions.units import Units, units_of
from ...explanation import Interaction
from ...inputs.segments import LEVELS
from ...interpreter.assembly import Attribution
from ...space.embedding_space import EmbeddingSpace
from ..path.baseline_method import BaselineMethod


class PerturbationMethod(BaselineMethod):
    """A method that looks at the target with some units of the input removed.

    It needs values only: no gradients, and any number that a model gives.

    Args:
        predictor: The predictor whose predictions are explained.
        units: What is removed as one: "token", "word", "sentence" or "paragraph"; None for what
            has a score, see `granularity`.
        baseline: What stands for a removed word: "zero", "mask", "pad", "unk", "mean", and so on;
            see `BaselineMethod`.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If a parameter has the wrong type or names nothing that there is.
    """

    def __init__(self, predictor: Predictor, units: str | None = None, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.units = (
            None if units is None else checks.choice("units", units, ("token", *LEVELS[::-1]))
        )

    def estimator(self, units: int) -> Estimator:
        """The method for an input with so many units, at least one."""
        raise NotImplementedError(f"{type(self).__name__} does not implement estimator()")

    def estimator_of(self, units: Units) -> Estimator:
        """The method for the units of an input; override it where more than their number counts."""
        return self.estimator(len(units))

    def generator(self, seed: int) -> np.random.Generator:
        """A source of randomness that is the same for every input, in any batch."""
        return np.random.default_rng(seed % 2**64)

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        level = self.units or self.granularity
        removable = self.baseline.replaceable(space)
        units = [units_of(space, row, level, own) for row, own in enumerate(removable)]
        game = EmbeddingGame(space, units, baseline)
        found = play(game, [self._estimator_of(own) for own in units])
        empty = [one.empty_value for one in found]
        errors = [
            np.full(len(own), np.nan) if one.standard_errors is None else one.standard_errors
            for one, own in zip(found, units, strict=True)
        ]
        return Attribution(
            game.spread([one.scores for one in found]),
            torch.tensor(empty, dtype=torch.float64) if self.complete else None,
            details=[one.details for one in found],
            warnings=[one.warnings for one in found],
            standard_errors=game.spread(errors),
            interactions=[
                [
                    Interaction(own.places[i], own.places[j], value)
                    for i, j, value in one.interactions
                ]
                for one, own in zip(found, units, strict=True)
            ],
        )

    def _estimator_of(self, units: Units) -> Estimator:
        return self.estimator_of(units) if len(units) else _no_units()


def _no_units() -> Estimator:
    """An input whose text is empty: there is nothing to remove."""
    values = yield np.ones((1, 0), dtype=bool)
    return UnitScores(np.zeros(0), empty_value=float(values[0]))
