"""Second differences of games with known values."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from allennlp_saliency.interpret.coalitions.game import SetGame, play
from allennlp_saliency.interpret.methods.interactions.pair_interactions import pair_interactions

AND = SetGame(2, lambda m: (m[:, 0] & m[:, 1]).astype(float))
OR = SetGame(2, lambda m: (m[:, 0] | m[:, 1]).astype(float))
XOR = SetGame(2, lambda m: (m[:, 0] ^ m[:, 1]).astype(float))


@pytest.mark.parametrize(
    ("game", "scores", "interaction"),
    [
        pytest.param(AND, [1.0, 1.0], 1.0, id="and"),
        pytest.param(OR, [0.0, 0.0], -1.0, id="or"),
        pytest.param(XOR, [-1.0, -1.0], -2.0, id="xor"),
    ],
)
def test_games_of_two(game: SetGame, scores: list[float], interaction: float) -> None:
    (found,) = play(game, [pair_interactions(2)])
    assert found.scores.tolist() == scores
    assert found.interactions == [(0, 1, interaction)]


def test_all_pairs_by_brute_force() -> None:
    values = np.random.default_rng(0).standard_normal(2**5)
    game = SetGame(5, lambda m: values[m @ (1 << np.arange(5))])

    def value(*absent: int) -> float:
        return float(values[31 - sum(1 << unit for unit in absent)])

    (found,) = play(game, [pair_interactions(5)])
    assert [(i, j) for i, j, _ in found.interactions] == list(combinations(range(5), 2))
    for i, j, delta in found.interactions:
        assert delta == pytest.approx(value() - value(i) - value(j) + value(i, j), abs=1e-12)


def test_pairs_of_the_best_units_only() -> None:
    game = SetGame(4, lambda m: 3.0 * m[:, 3] + 2.0 * m[:, 1] - 0.1 * m[:, 0])
    (found,) = play(game, [pair_interactions(4, best=2)])
    assert [(i, j) for i, j, _ in found.interactions] == [(1, 3)]
    assert found.scores == pytest.approx([-0.1, 2.0, 0.0, 3.0])


def test_one_unit_has_no_pair() -> None:
    (found,) = play(SetGame(1, lambda m: 2.0 * m[:, 0]), [pair_interactions(1)])
    assert found.scores.tolist() == [2.0]
    assert found.interactions == []
