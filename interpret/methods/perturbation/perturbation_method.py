"""What methods that remove parts of the input have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Estimator, UnitScores, play
from ...coalitions.removal import Deletion, Removal, removal_of
from ...coalitions.text_units import TextUnits
from ...coalitions.units import spread, units_of
from ...contracts import HasDefaultBaseline
from ...explanation import Interaction, JsonDict
from ...inputs.segments import LEVELS
from ...interpreter.assembly import Attribution
from ...interpreter.run import Interpretation, Progress
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...model.hooks import before_each_pass
from ...space.baselines import Baseline
from ...space.embedding_space import EmbeddingSpace
from ...target.predicted_output import PredictedOutput
from ..path.baseline_method import mean_attribution
from .black_box import BlackBox

_UNITS = ("token", *LEVELS[::-1])


class PerturbationMethod(SaliencyInterpreter):
    """A method that looks at the target with some units of the input removed.

    It needs values only: no gradients, and any number that a model gives.

    Args:
        predictor: The predictor whose predictions are explained.
        units: What is removed as one: "token", "word", "sentence" or "paragraph"; None for what
            has a score, see `granularity`.
        removal: How units are removed. "delete" deletes them from the text, which is tokenised
            again. A baseline ("zero", "mask", "pad", "unk", "mean", and so on; see
            `BaselineMethod`) takes their place; of several in a list the mean is taken. None for
            the predictor's `default_baseline`, where it names one, else "zero".
        baseline: Another name of `removal`, for a baseline: what other methods call it.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If a parameter has the wrong type or names nothing that there is, or
            there are both a removal and a baseline.
    """

    def __init__(
        self,
        predictor: Predictor,
        units: str | None = None,
        removal: Removal | Baseline | str | dict[str, Any] | list[Any] | None = None,
        baseline: Baseline | str | dict[str, Any] | list[Any] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.units = None if units is None else checks.choice("units", units, _UNITS)
        if removal is not None and baseline is not None:
            raise ConfigurationError(
                "a baseline is a removal: give 'removal' alone, which takes a baseline, too"
            )
        black_box = isinstance(self.target, PredictedOutput)
        if black_box and removal is None and baseline is None:
            removal = "delete"
        elif removal is None and baseline is None:
            removal = Baseline.default_implementation
            if isinstance(predictor, HasDefaultBaseline):
                removal = predictor.default_baseline
        parameter = "removal" if baseline is None else "baseline"
        self.removal = removal_of(baseline if removal is None else removal, parameter)
        # Another name of the removal, which a config has under that one.
        self.baseline = None
        if black_box and not isinstance(self.removal, Deletion):
            raise ConfigurationError(
                "the target 'output' knows no vectors that could be replaced: its removal is "
                "'delete'"
            )

    @property
    def bound_to_text(self) -> str | None:
        if isinstance(self.target, PredictedOutput):
            return "it is given the predictor's answers alone"
        if any(isinstance(one, Deletion) for one in self.removal.members()):
            return "it reads the text again without some units (removal 'delete')"
        return None

    def estimator(self, units: int) -> Estimator:
        """The method for an input with so many units, at least one."""
        raise NotImplementedError(f"{type(self).__name__} does not implement estimator()")

    def estimator_of(self, units: TextUnits) -> Estimator:
        """The method for the units of an input; override it where more than their number counts."""
        return self.estimator(len(units))

    def interpret_each(
        self,
        inputs: Sequence[JsonDict],
        predict: bool = False,
        progress: Progress = None,
        watch: Callable[[], None] | None = None,
    ) -> list[Interpretation]:
        if not isinstance(self.target, PredictedOutput):
            return super().interpret_each(inputs, predict, progress, watch)
        level = self.units or self.granularity
        box = BlackBox(self.predictor.predict_batch_json, self.target, level, self._estimator_of)
        model = getattr(self.predictor, "_model", None)  # `explain_function` has none
        with before_each_pass(model, watch):
            return box.interpretations(inputs, self.config(), self.complete, predict)

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        return mean_attribution([self._removing(space, one) for one in self.removal.members()])

    def _removing(self, space: EmbeddingSpace, removal: Removal) -> Attribution:
        level = self.units or self.granularity
        removable = removal.removable(space)
        units = [units_of(space, row, level, own) for row, own in enumerate(removable)]
        game = removal.game(space, units)
        found = play(game, [self._estimator_of(own) for own in units])
        empty = [one.empty_value for one in found]
        errors = [
            np.full(len(own), np.nan) if one.standard_errors is None else one.standard_errors
            for one, own in zip(found, units, strict=True)
        ]
        return Attribution(
            spread(units, [one.scores for one in found]),
            torch.tensor(empty, dtype=torch.float64) if self.complete else None,
            details=[one.details for one in found],
            warnings=[one.warnings for one in found],
            zero_causes=[one.zero_cause for one in found],
            standard_errors=spread(units, errors),
            interactions=[
                [
                    Interaction(own.places[i], own.places[j], value)
                    for i, j, value in one.interactions
                ]
                for one, own in zip(found, units, strict=True)
            ],
        )

    def _estimator_of(self, units: TextUnits) -> Estimator:
        return self.estimator_of(units) if len(units) else _no_units()


def _no_units() -> Estimator:
    """An input whose text is empty: there is nothing to remove."""
    values = yield np.ones((1, 0), dtype=bool)
    return UnitScores(np.zeros(0), empty_value=float(values[0]))
