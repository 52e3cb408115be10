"""Games of units: what estimators ask for is computed together, and nothing twice."""

from __future__ import annotations

import numpy as np

from allennlp_saliency.interpret.coalitions.game import (
    Coalitions,
    Estimator,
    Floats,
    Integers,
    SetGame,
    UnitScores,
    everything,
    nothing,
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


class Several:
    """Inputs of different sizes, worth (input + 1) · Σ 2^unit, that note what they are asked."""

    sizes = (3, 1, 2)

    def __init__(self) -> None:
        self.asked: list[tuple[list[list[bool]], list[int]]] = []

    def values(self, masks: Coalitions, rows: Integers) -> Floats:
        self.asked.append((masks.tolist(), rows.tolist()))
        own = masks & (np.arange(masks.shape[1]) < np.array(self.sizes)[rows][:, None])
        return (rows + 1.0) * (own * 2.0 ** np.arange(masks.shape[1])).sum(1)


def asking(*rounds: Coalitions) -> Estimator:
    found = []
    for masks in rounds:
        values = yield masks
        found.append(values)
    return UnitScores(np.concatenate([*found, np.zeros(0)]))


def test_inputs_of_all_sizes_are_asked_together() -> None:
    """Round by round, until each has what it asked for; who asks for nothing is done at once."""
    game = Several()
    first = np.array([[1, 0, 1], [0, 1, 0]], dtype=bool)
    estimators = [
        asking(first, everything(3)),
        asking(everything(1), nothing(1), everything(1)),
        asking(),
    ]
    found = play(game, estimators)
    assert [one.scores.tolist() for one in found] == [[5, 2, 7], [2, 0, 2], []]
    # Columns beyond an input's units are filled up.
    assert game.asked == [
        ([[True, False, True], [False, True, False], [True, True, True]], [0, 0, 1]),
        ([[True, True, True], [False, True, True]], [0, 1]),
        ([[True]], [1]),
    ]


def test_one_coalition_needs_no_second_dimension() -> None:
    (found,) = play(SetGame(2, lambda masks: masks.sum(1)), [asking(np.array([1, 1]))])
    assert found.scores.tolist() == [2]
    assert found.scores.dtype == np.float64


def test_whose_units_all_stay_or_none() -> None:
    assert everything(2).tolist() == [[True, True]]
    assert nothing(2).tolist() == [[False, False]]
    assert everything(2).dtype == nothing(2).dtype == bool
    assert play(Several(), []) == []
    assert SetGame(4, lambda masks: masks.sum(1)).sizes == [4]
