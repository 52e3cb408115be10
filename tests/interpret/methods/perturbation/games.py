"""Games whose values are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from allennlp_saliency.interpret.coalitions.game import Estimator, SetGame, UnitScores, play

GLOVE = SetGame(3, lambda m: ((m[:, 0] | m[:, 1]) & m[:, 2]).astype(float))
"""Two left gloves and a right one: a pair is worth 1. Shapley (1/6, 1/6, 4/6)."""
MAJORITY = SetGame(3, lambda m: (m.sum(axis=1) >= 2).astype(float))
"""Shapley (1/3, 1/3, 1/3)."""
AND = SetGame(2, lambda m: (m[:, 0] & m[:, 1]).astype(float))
XOR = SetGame(2, lambda m: (m[:, 0] ^ m[:, 1]).astype(float))
WEIGHTS = np.array([-2.0, 0.5, 0.0, 1.0, 3.0, -0.25])
LINEAR = SetGame(6, lambda m: m @ WEIGHTS + 0.7)

SHAPLEY = [
    pytest.param(GLOVE, [1 / 6, 1 / 6, 4 / 6], id="glove"),
    pytest.param(MAJORITY, [1 / 3, 1 / 3, 1 / 3], id="majority"),
    pytest.param(AND, [1 / 2, 1 / 2], id="and"),
    pytest.param(XOR, [0.0, 0.0], id="xor"),
    pytest.param(LINEAR, WEIGHTS.tolist(), id="linear"),
]


def played(game: SetGame, estimator: Estimator) -> UnitScores:
    """What an estimator finds for a game."""
    return play(game, [estimator])[0]
