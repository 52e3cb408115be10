"""The definitions of ferret and of NAOPC, word by word on six tokens, by brute force."""

from __future__ import annotations

from itertools import permutations
from statistics import mean

import numpy as np
import pytest
from scipy.stats import kendalltau

from allennlp_saliency.interpret.coalitions.game import SetGame, play
from allennlp_saliency.interpret.faithfulness import (
    Comprehensiveness,
    Metric,
    Scored,
    Sufficiency,
    TauLeaveOneOut,
)

TOKENS = frozenset(range(6))
_VALUES = np.random.default_rng(3).random(2**6)
WEIGHTS = np.array([0.30, -0.05, 0.20, 0.0, 0.10, 0.05])
SCORES = np.array([0.4, -0.2, 0.1, 0.05, 0.3, -0.1])
ANY = SetGame(6, lambda m: _VALUES[m @ (1 << np.arange(6))])
"""A probability for each set of tokens, whatever."""
ADDITIVE = SetGame(6, lambda m: 0.3 + m @ WEIGHTS)
both = pytest.mark.parametrize("game", [ANY, ADDITIVE], ids=["any", "additive"])


def p(game: SetGame, kept: frozenset[int]) -> float:
    """The probability of a text of these tokens."""
    return float(game.function(np.array([[token in kept for token in range(6)]]))[0])


def top(k: int, scores: np.ndarray = SCORES) -> frozenset[int]:
    return frozenset(sorted(range(6), key=lambda token: -scores[token])[:k])


def measured(metric: Metric, game: SetGame, scores: np.ndarray = SCORES) -> float:
    return play(game, [metric.measure(Scored(scores), np.random.default_rng(0))])[0].value


def aopc(game: SetGame, order: tuple[int, ...]) -> float:
    """Edin et al. 2024, equation 1: the mean over k of p(x) - p(x without the first k)."""
    return mean(p(game, TOKENS) - p(game, TOKENS - set(order[:k])) for k in range(1, 7))


class TestFerret:
    """Attanasio et al. 2023: thresholds k = 1 … n, and the mean of the differences."""

    @both
    def test_comprehensiveness(self, game: SetGame) -> None:
        expected = mean(p(game, TOKENS) - p(game, TOKENS - top(k)) for k in range(1, 7))
        assert measured(Comprehensiveness(), game) == pytest.approx(expected, abs=1e-12)

    @both
    def test_sufficiency(self, game: SetGame) -> None:
        """Theirs begins with one token and ends with all, which lack nothing; ours begins with no
        token. So the sums differ by what the empty text lacks."""
        theirs = mean(p(game, TOKENS) - p(game, top(k)) for k in range(1, 7))
        empty = p(game, TOKENS) - p(game, frozenset())
        assert measured(Sufficiency(), game) == pytest.approx(theirs + empty / 6, abs=1e-12)

    @both
    def test_tau(self, game: SetGame) -> None:
        losses = [p(game, TOKENS) - p(game, TOKENS - {token}) for token in range(6)]
        expected = kendalltau(losses, SCORES)[0]
        assert measured(TauLeaveOneOut(), game) == pytest.approx(expected, abs=1e-12)


class TestNaopc:
    """(AOPC - lower) / (upper - lower), the limits over all 720 orders; here 0 is at the mean over
    random orders, and 1 at the limit that a greedy search reaches."""

    ORDER = tuple(sorted(range(6), key=lambda token: -SCORES[token]))

    @both
    def test_what_is_normalised(self, game: SetGame) -> None:
        assert measured(Comprehensiveness(), game) == pytest.approx(aopc(game, self.ORDER))

    @both
    def test_between_random_and_the_limit(self, game: SetGame) -> None:
        every = [aopc(game, order) for order in permutations(range(6))]
        greedy = self.greedy(game)
        expected = (aopc(game, self.ORDER) - mean(every)) / (aopc(game, greedy) - mean(every))
        many = Comprehensiveness(normalized=True, random_orders=20_000)
        # The mean of 20,000 random orders has a standard error of their spread / 141.
        error = np.std(every) / 141 / abs(aopc(game, greedy) - mean(every))
        assert measured(many, game) == pytest.approx(expected, abs=5 * float(error))

    def test_the_greedy_limit_is_the_limit_of_an_additive_game(self) -> None:
        every = [aopc(ADDITIVE, order) for order in permutations(range(6))]
        assert aopc(ADDITIVE, self.greedy(ADDITIVE)) == pytest.approx(max(every), abs=1e-12)

    def test_the_greedy_limit_may_be_below_that_of_any_game(self) -> None:
        every = sorted(aopc(ANY, order) for order in permutations(range(6)))
        reached = aopc(ANY, self.greedy(ANY))
        assert every[int(0.9 * 720)] < reached <= every[-1] + 1e-12

    def test_the_same_order_of_methods_as_naopc(self) -> None:
        """Where the limits are exact ours is a linear function of NAOPC, growing."""
        every = [aopc(ADDITIVE, order) for order in permutations(range(6))]
        low, high = min(every), max(every)
        middle = (mean(every) - low) / (high - low)
        many = Comprehensiveness(normalized=True, random_orders=20_000)
        for scores in (SCORES, -SCORES, WEIGHTS, np.arange(6.0)):
            order = tuple(sorted(range(6), key=lambda token, own=scores: -own[token]))
            naopc = (aopc(ADDITIVE, order) - low) / (high - low)
            expected = (naopc - middle) / (1 - middle)
            assert measured(many, ADDITIVE, scores) == pytest.approx(expected, abs=0.02)

    def greedy(self, game: SetGame) -> tuple[int, ...]:
        left, order = set(TOKENS), []
        while left:
            order.append(min(left, key=lambda token: p(game, frozenset(left - {token}))))
            left.remove(order[-1])
        return tuple(order)
