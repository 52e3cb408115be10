"""What the target loses without a unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Estimator, UnitScores, everything
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .perturbation_method import PerturbationMethod


def leave_one_out(units: int, window: int = 1) -> Estimator:
    """score_i = mean over the windows w that hold i of F(x) - F(x without w).

    Args:
        units: Units of the input.
        window: Neighbouring units that are removed together, moved on by one unit at a time.
    """
    width = min(window, units)
    starts = np.arange(units - width + 1)
    numbers = np.arange(units)
    removed = (numbers >= starts[:, None]) & (numbers < starts[:, None] + width)
    values = yield np.concatenate([everything(units), ~removed])
    losses = values[0] - values[1:]
    return UnitScores(losses @ removed / removed.sum(0))


@SaliencyInterpreter.register("leave-one-out")
class LeaveOneOut(PerturbationMethod):
    """score_i = F(x) - F(x without i).

    Li et al. 2016, "Understanding Neural Networks through Representation Erasure", equation 1; with
    a window, Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks",
    section 4.2 (occlusion): a unit's score is the mean over the windows that it is in.

    The scores of different units need not add up to anything: of two units that say the same, each
    can be left out.

    Args:
        predictor: The predictor whose predictions are explained.
        window: Neighbouring units that are removed together.
        common: What is removed and how, and what every interpreter takes; see
            `PerturbationMethod`.

    Raises:
        ConfigurationError: If the window is no positive integer.
    """

    def __init__(self, predictor: Predictor, window: int = 1, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.window = checks.integer("window", window, least=1)

    def estimator(self, units: int) -> Estimator:
        return leave_one_out(units, self.window)
