"""Shapley values of units that belong together: words of a sentence, sentences of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, UnitScores, everything, nothing
from ...coalitions.text_units import TextUnits
from ...coalitions.tree import Tree
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .perturbation_method import PerturbationMethod


@dataclass(frozen=True, eq=False)
class _Block:
    """Units whose joint contribution is known, in one context.

    Attributes:
        tree: The units.
        without: Who stays beside them, `(all units,)`; none of them is in it.
        low: F of `without`.
        high: F of `without` and them.
        weight: The share of this context.
    """

    tree: Tree
    without: Coalitions
    low: float
    high: float
    weight: float


def owen(tree: Tree, max_evaluations: int) -> Estimator:
    """Owen values of a binary tree of units, the most important blocks first.

    A block's contribution is divided between its halves a and b: φ_a is the mean of
    F(S ∪ a) - F(S) and F(S ∪ a ∪ b) - F(S ∪ b). What is not divided when the evaluations are used
    up is shared equally.

    Args:
        tree: The units as a binary tree.
        max_evaluations: Values of F, at most.
    """
    units = len(tree.members)
    ends = yield np.concatenate([nothing(units), everything(units)])
    empty = float(ends[0])
    blocks = [_Block(tree, nothing(units)[0], empty, float(ends[1]), 1.0)]
    left = max_evaluations - 2
    while True:
        blocks.sort(key=lambda block: -abs(block.high - block.low) * block.weight)
        divisible = [block for block in blocks if block.tree.halves]
        # Half of what is divisible in a round: the rest may turn out to matter less.
        chosen = divisible[: min(max(len(divisible) // 2, 1), left // 2)]
        if not chosen:
            break
        values = yield np.stack(
            [_with(block, half) for block in chosen for half in block.tree.halves]
        )
        left -= len(values)
        blocks = [block for block in blocks if block not in chosen]
        for block, (first, second) in zip(chosen, values.reshape(-1, 2).tolist(), strict=True):
            blocks += _divided(block, first, second)
    scores = np.zeros(units)
    for block in blocks:
        share = (block.high - block.low) * block.weight / len(block.tree.members)
        scores[list(block.tree.members)] += share
    details = {"evaluations": max_evaluations - left, "exact": not divisible}
    return UnitScores(scores, empty_value=empty, details=details)


def _with(block: _Block, half: Tree) -> Coalitions:
    mask = block.without.copy()
    mask[list(half.members)] = True
    return mask


def _divided(block: _Block, first: float, second: float) -> list[_Block]:
    """The halves of a block, each without and with the other one.

    Args:
        block: The block.
        first: F with its first half.
        second: F with its second half.
    """
    a, b = block.tree.halves
    weight = block.weight / 2
    return [
        _Block(a, block.without, block.low, first, weight),
        _Block(a, _with(block, b), second, block.high, weight),
        _Block(b, block.without, block.low, second, weight),
        _Block(b, _with(block, a), first, block.high, weight),
    ]


@SaliencyInterpreter.register("owen")
class Owen(PerturbationMethod):
    """score_i = mean of F(S ∪ i) - F(S) over the coalitions S that a tree of the text allows.

    A coalition is made of whole blocks: of sentences beside the one that i is in, of halves of that
    sentence, and so on down to words and tokens. So there are far fewer than for Shapley values,
    and a word's tokens are judged in its presence or absence as a whole.

    Owen 1977, "Values of games with a priori unions"; Lundberg's partition explainer (`shap`) has
    the same recursion.

    Args:
        predictor: The predictor whose predictions are explained.
        max_evaluations: Values of the target per input, at most. The blocks that matter most are
            divided first; one that is not divided any more is shared equally among its units.
        common: What is removed and how, and what every interpreter takes; see
            `PerturbationMethod`.

    Raises:
        ConfigurationError: If the number of evaluations is no integer of at least 4.
    """

    complete = True

    def __init__(self, predictor: Predictor, max_evaluations: int = 512, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.max_evaluations = checks.integer("max_evaluations", max_evaluations, least=4)

    @property
    def n_evaluations(self) -> int:
        return self.max_evaluations

    def estimator_of(self, units: TextUnits) -> Estimator:
        return owen(units.tree(), self.max_evaluations)
