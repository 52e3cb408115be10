"""What the target loses without a unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Estimator, UnitScores, everything
from ...coalitions.text_units import TextUnits
from ...explanation import JsonDict
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


def hierarchical(units: TextUnits) -> Estimator:
    """Leaves out the largest blocks one at a time, then the parts of the block that the target
    loses most without, and so on down to the units; the units of a block that is not divided share
    its score equally.

    A level at which there is one block only is left out.

    Args:
        units: The units of an input, with the blocks that they are in.
    """
    whole = float((yield everything(len(units)))[0])
    scores = np.zeros(len(units))
    inside = list(range(len(units)))
    levels: list[JsonDict] = []
    names = [*units.levels, "unit"]
    for number, name in enumerate(names, start=3):
        blocks: dict[tuple[int, ...], list[int]] = {}
        for unit in inside:
            own = (unit,) if name == "unit" else units.blocks[unit][:number]
            blocks.setdefault(own, []).append(unit)
        if len(blocks) == 1 and (levels or name != "unit"):
            continue
        members = list(blocks.values())
        without = np.ones((len(members), len(units)), dtype=bool)
        for row, block in enumerate(members):
            without[row, block] = False
        values = yield without
        losses = whole - values
        for block, loss in zip(members, losses.tolist(), strict=True):
            scores[block] = loss / len(block)
        best = int(np.argmax(losses))
        inside = members[best]
        loss = float(losses[best])
        levels.append({"level": name, "blocks": len(members), "units": inside, "loss": loss})
    return UnitScores(scores, details={"levels": levels})


@SaliencyInterpreter.register("leave-one-out")
class LeaveOneOut(PerturbationMethod):
    """score_i = F(x) - F(x without i).

    Li et al. 2016, "Understanding Neural Networks through Representation Erasure", equation 1; with
    a window, Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks",
    section 4.2 (occlusion): a unit's score is the mean over the windows that it is in.

    The scores of different units need not add up to anything: of two units that say the same, each
    can be left out.

    With `hierarchical`, paragraphs are left out first, then the sentences of the one that matters
    most, then its words: far fewer values of a long text. Liu et al. 2024, "AttriBoT: A Bag of
    Tricks for Efficiently Approximating Leave-One-Out Context Attribution"
    (hierarchical attribution). `details.levels` has per level how many blocks were left out, the
    units of the best, and what the target loses without it. The units of other blocks share the
    score of their block.

    Args:
        predictor: The predictor whose predictions are explained.
        window: Neighbouring units that are removed together.
        hierarchical: Whether larger blocks are left out first.
        common: What is removed and how, and what every interpreter takes; see
            `PerturbationMethod`.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or there is a window and it is
            hierarchical.
    """

    def __init__(
        self, predictor: Predictor, window: int = 1, hierarchical: bool = False, **common: Any
    ) -> None:
        super().__init__(predictor, **common)
        self.window = checks.integer("window", window, least=1)
        self.hierarchical = checks.boolean("hierarchical", hierarchical)
        if self.hierarchical and self.window > 1:
            raise ConfigurationError("hierarchical leave-one-out has no window: give one of them")

    def estimator_of(self, units: TextUnits) -> Estimator:
        return hierarchical(units) if self.hierarchical else super().estimator_of(units)

    def estimator(self, units: int) -> Estimator:
        return leave_one_out(units, self.window)
