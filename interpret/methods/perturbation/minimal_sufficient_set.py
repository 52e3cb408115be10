"""The few units that are enough for the prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Estimator, UnitScores, everything, nothing
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .perturbation_method import PerturbationMethod


def minimal_sufficient_set(units: int, share: float, stride: int = 1) -> Estimator:
    """Removes the unit that matters least, again and again, until too little of F is left.

    score_i = F(S) - F(S without i) for the units of the set S that is left, else 0.

    Args:
        units: Units of the input.
        share: What must be left of F(x) - F(∅).
        stride: Units that are removed in one round.
    """
    ends = yield np.concatenate([nothing(units), everything(units)])
    empty, whole = ends.tolist()
    # A target that the text lowers is one that its negative raises.
    sign = 1.0 if whole >= empty else -1.0
    enough = sign * (empty + share * (whole - empty))
    kept = everything(units)[0]
    value = whole
    while kept.any():
        members = kept.nonzero()[0]
        without = np.repeat(kept[None], len(members), axis=0)
        without[np.arange(len(members)), members] = False
        values = yield without
        losses = value - values
        best = np.argsort(sign * losses, kind="stable")[: min(stride, len(members))]
        fewer = kept.copy()
        fewer[members[best]] = False
        left = float(values[best[0]]) if len(best) == 1 else float((yield fewer[None])[0])
        if sign * left < enough:
            if len(best) == 1:
                break
            stride = 1
            continue
        kept, value = fewer, left
    scores = np.zeros(units)
    if kept.any():
        scores[members] = losses
    details = {"sufficient": kept.nonzero()[0].tolist(), "sufficient_value": value}
    cause = (
        ""
        if kept.any() or whole == empty
        else f"with share={share:g} nothing of the input is needed; raise share (0.9 unless told)"
    )
    return UnitScores(scores, details=details, zero_cause=cause)


@SaliencyInterpreter.register("minimal-sufficient-set")
class MinimalSufficientSet(PerturbationMethod):
    """score_i = F(S) - F(S without i) for i in S, else 0; S the units that are enough.

    S is what is left when the unit that matters least is removed again and again, as long as F(S)
    keeps a share of F(x) - F(∅). `details.sufficient` has its units.

    Carter et al. 2019, "What made you do this? Understanding black-box decisions with sufficient
    input subsets", algorithm 1 (backward selection).

    Args:
        predictor: The predictor whose predictions are explained.
        share: What S must keep of F(x) - F(∅).
        stride: Units that are removed in one round as long as that goes well; a larger one takes
            fewer of the n²/2 values of n units, and may keep more units.
        common: What is removed and how, and what every interpreter takes; see
            `PerturbationMethod`.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or is out of range.
    """

    def __init__(
        self, predictor: Predictor, share: float = 0.9, stride: int = 1, **common: Any
    ) -> None:
        super().__init__(predictor, **common)
        self.share = checks.number("share", share, above=0, most=1)
        self.stride = checks.integer("stride", stride, least=1)

    @property
    def n_evaluations(self) -> int:
        return 128

    def estimator(self, units: int) -> Estimator:
        return minimal_sufficient_set(units, self.share, self.stride)
