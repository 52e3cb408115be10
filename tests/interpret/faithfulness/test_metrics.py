"""Metrics worked by hand on six tokens, and on games whose best order is known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from allennlp_saliency.interpret.coalitions.game import SetGame, play
from allennlp_saliency.interpret.faithfulness.agreement import (
    CompletenessError,
    Infidelity,
    TauLeaveOneOut,
)
from allennlp_saliency.interpret.faithfulness.erasure import (
    Comprehensiveness,
    Deletion,
    Insertion,
    LogOdds,
    Monotonicity,
    Sufficiency,
)
from allennlp_saliency.interpret.faithfulness.metric import Measured, MethodMetric, Metric, Scored
from allennlp_saliency.interpret.faithfulness.rationale import (
    RationaleAuprc,
    RationaleF1,
    RationaleIou,
)

WEIGHTS = np.array([0.30, -0.05, 0.20, 0.0, 0.10, 0.05])
"""The probability is 0.3 without any token, and each token adds its weight."""
ADDITIVE = SetGame(6, lambda m: 0.3 + m @ WEIGHTS)


def measured(metric: Metric, scored: Scored, game: SetGame = ADDITIVE) -> Measured:
    return play(game, [metric.measure(scored, np.random.default_rng(0))])[0]


TRUE = Scored(WEIGHTS)
WRONG = Scored(-WEIGHTS)


def test_comprehensiveness_by_hand() -> None:
    # Removed in the order 0, 2, 4, 5, 3, 1: the losses add up to .3 .5 .6 .65 .65 .6.
    assert measured(Comprehensiveness(), TRUE).value == pytest.approx(3.3 / 6)
    # 1, 3, 5, 4, 2, 0: -.05 -.05 0 .1 .3 .6.
    assert measured(Comprehensiveness(), WRONG).value == pytest.approx(0.9 / 6)
    curve = measured(Comprehensiveness(), TRUE).curve
    np.testing.assert_allclose(curve, [0.9, 0.6, 0.4, 0.3, 0.25, 0.25, 0.3])


def test_sufficiency_by_hand() -> None:
    # What none, 0, 0 2, 0 2 4, 0 2 4 5, 0 2 4 5 3 lack of 0.9: .6 .3 .1 0 -.05 -.05.
    assert measured(Sufficiency(), TRUE).value == pytest.approx(0.9 / 6)


def test_deletion_and_insertion_by_hand() -> None:
    removed = [0.9, 0.6, 0.4, 0.3, 0.25, 0.25, 0.3]
    area = sum((a + b) / 2 for a, b in pairwise(removed)) / 6
    assert measured(Deletion(), TRUE).value == pytest.approx(area)
    kept = [0.3, 0.6, 0.8, 0.9, 0.95, 0.95, 0.9]
    area = sum((a + b) / 2 for a, b in pairwise(kept)) / 6
    assert measured(Insertion(), TRUE).value == pytest.approx(area)


@pytest.mark.parametrize("metric", [Comprehensiveness, Sufficiency, Deletion, Insertion])
def test_the_best_order_of_an_additive_game_is_1_when_normalized(metric: type[Metric]) -> None:
    assert measured(metric(normalized=True), TRUE).value == pytest.approx(1.0)  # type: ignore[call-arg]
    assert measured(metric(normalized=True), WRONG).value < -0.5  # type: ignore[call-arg]


def test_random_orders_are_0_when_normalized() -> None:
    values = [
        measured(
            Comprehensiveness(normalized=True, random_orders=200),
            Scored(np.random.default_rng(seed).standard_normal(6)),
        ).value
        for seed in range(200)
    ]
    # The standard error of 200 values between -1 and 1 is below 0.05.
    assert abs(np.mean(values)) < 0.15


def test_a_target_that_nothing_changes_has_no_normalized_value() -> None:
    constant = SetGame(4, lambda m: np.full(len(m), 0.5))
    scored = Scored(np.arange(4.0))
    assert measured(Comprehensiveness(), scored, constant).value == 0.0
    assert math.isnan(measured(Comprehensiveness(normalized=True), scored, constant).value)


def test_log_odds_by_hand() -> None:
    # A fifth of six is one token, 0; with a half of them, 0, 2 and 4.
    assert measured(LogOdds(), TRUE).value == pytest.approx(math.log(0.6 / 0.9))
    assert measured(LogOdds(0.5), TRUE).value == pytest.approx(math.log(0.3 / 0.9))


def test_monotonicity_by_hand() -> None:
    # Returned in the order 1, 3, 5, 4, 2, 0: only token 1 lowers the target.
    assert measured(Monotonicity(), TRUE).value == pytest.approx(5 / 6)


def test_tau_by_hand() -> None:
    assert measured(TauLeaveOneOut(), TRUE).value == pytest.approx(1.0)
    assert measured(TauLeaveOneOut(), WRONG).value == pytest.approx(-1.0)
    # Tokens 0 and 2 the other way round: one of 15 pairs is discordant.
    swapped = WEIGHTS.copy()
    swapped[[0, 2]] = swapped[[2, 0]]
    assert measured(TauLeaveOneOut(), Scored(swapped)).value == pytest.approx(13 / 15)


def test_infidelity_of_the_true_weights_is_0() -> None:
    assert measured(Infidelity(), TRUE).value == pytest.approx(0.0, abs=1e-12)
    assert measured(Infidelity(), Scored(5 * WEIGHTS)).value == pytest.approx(0.0, abs=1e-12)
    assert measured(Infidelity(scaled=False), Scored(5 * WEIGHTS)).value > 0.1


def test_infidelity_by_hand() -> None:
    """Of one token only one set is possible: (β s - loss)², β 1."""
    game = SetGame(1, lambda m: 2.0 * m[:, 0])
    found = measured(Infidelity(num_samples=3, scaled=False), Scored(np.array([0.5])), game)
    assert found.value == pytest.approx(1.5**2)


def test_completeness_error() -> None:
    assert measured(CompletenessError(), Scored(WEIGHTS, delta=-0.02)).value == 0.02
    assert math.isnan(measured(CompletenessError(), TRUE).value)


def test_rationales_by_hand() -> None:
    known = np.array([True, False, False, False, True, False])
    scored = Scored(WEIGHTS, rationale=known)
    # The two best are 0 and 2, the reason is 0 and 4.
    assert measured(RationaleF1(), scored).value == pytest.approx(1 / 2)
    assert measured(RationaleIou(), scored).value == pytest.approx(1 / 3)
    # Precision 1 at recall 1/2, 2/3 at recall 1.
    assert measured(RationaleAuprc(), scored).value == pytest.approx(1 / 2 + (2 / 3) / 2)


@pytest.mark.parametrize("metric", [RationaleAuprc, RationaleF1, RationaleIou])
def test_without_a_known_reason_there_is_no_number(metric: type[Metric]) -> None:
    assert math.isnan(measured(metric(), TRUE).value)
    assert math.isnan(measured(metric(), Scored(WEIGHTS, np.zeros(6, bool))).value)


OF_SCORES = [
    name for name in Metric.list_available() if not issubclass(Metric.by_name(name), MethodMetric)
]


@pytest.mark.parametrize("name", OF_SCORES)
@pytest.mark.parametrize("units", [1, 2])
def test_every_metric_takes_short_texts(name: str, units: int) -> None:
    game = SetGame(units, lambda m: m.mean(axis=1))
    scored = Scored(np.arange(units) + 1.0, np.ones(units, bool), 0.0)
    found = measured(Metric.by_name(name)(), scored, game)
    assert isinstance(found.value, float)
