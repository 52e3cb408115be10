"""Games of units: what estimators ask for is computed together, and nothing twice."""

from __future__ import annotations

import numpy as np

from allennlp_saliency.interpret.coalitions.game import (
    Coalitions,
    Estimator,
    Floats,
    SetGame,
    UnitScores,
    play,
)


def test_a_coalition_that_is_asked_for_twice_is_computed_once() -> None:
    asked: list[Coalitions] = []

    def function(masks: Coalitions) -> Floats:
        asked.append(masks)
        return masks @ np.array([1.0, 2.0, 4.0])

    masks = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)

    def estimator() -> Estimator:
        values = yield masks
        again = yield masks[:1]
        return UnitScores(np.concatenate([values, again]))

    (found,) = play(SetGame(3, function), [estimator()])
    assert found.scores.tolist() == [5, 0, 5, 2, 0, 5]
    # In the order in which they are asked for; rounds are apart.
    assert [one.tolist() for one in asked] == [masks[[0, 1, 3]].tolist(), masks[:1].tolist()]
