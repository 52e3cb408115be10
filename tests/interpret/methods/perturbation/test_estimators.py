"""Estimators on games with known values."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.coalitions.game import Estimator, SetGame, UnitScores
from allennlp_saliency.interpret.coalitions.tree import Tree, halved, nested
from allennlp_saliency.interpret.methods.perturbation.context_cite import (
    ablations,
    context_cite,
    lasso,
)
from allennlp_saliency.interpret.methods.perturbation.kernel_shap import kernel_shap
from allennlp_saliency.interpret.methods.perturbation.leave_one_out import leave_one_out
from allennlp_saliency.interpret.methods.perturbation.lime import lime, neighbours, proximity
from allennlp_saliency.interpret.methods.perturbation.minimal_sufficient_set import (
    minimal_sufficient_set,
)
from allennlp_saliency.interpret.methods.perturbation.owen import owen
from allennlp_saliency.interpret.methods.perturbation.reagent import importance
from allennlp_saliency.interpret.methods.perturbation.shapley_sampling import shapley_sampling
from allennlp_saliency.interpret.methods.perturbation.sobol import sobol

from .games import GLOVE, LINEAR, SHAPLEY, WEIGHTS, XOR, played


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def random_game(units: int, seed: int = 0) -> SetGame:
    """Every coalition has a random value."""
    values = generator(seed).standard_normal(2**units)
    return SetGame(units, lambda m: values[m @ (1 << np.arange(units))])


def by_orders(game: SetGame, orders: list[tuple[int, ...]]) -> np.ndarray:
    """The mean of marginal contributions over orders, one value at a time."""
    scores = np.zeros(game.size)
    for order in orders:
        mask = np.zeros((1, game.size), dtype=bool)
        before = game.function(mask)[0]
        for unit in order:
            mask[0, unit] = True
            after = game.function(mask)[0]
            scores[unit] += (after - before) / len(orders)
            before = after
    return scores


@pytest.mark.parametrize(("game", "values"), SHAPLEY)
def test_kernel_shap_is_exact_for_few_units(game: SetGame, values: list[float]) -> None:
    found = played(game, kernel_shap(game.size, 16, 12, generator()))
    np.testing.assert_allclose(found.scores, values, atol=1e-9)
    assert found.standard_errors is None


def test_kernel_shap_is_the_mean_over_all_orders() -> None:
    game = random_game(5)
    expected = by_orders(game, list(permutations(range(5))))
    np.testing.assert_allclose(played(game, kernel_shap(5, 2, 12, generator())).scores, expected)


def test_kernel_shap_of_samples_adds_up() -> None:
    game = random_game(10)
    found = played(game, kernel_shap(10, 256, 1, generator()))
    whole = game.function(np.ones((1, 10), dtype=bool))[0]
    assert found.empty_value is not None
    assert found.scores.sum() == pytest.approx(whole - found.empty_value)


@pytest.mark.parametrize(("game", "values"), SHAPLEY)
def test_shapley_sampling_is_exact_where_all_orders_are_taken(
    game: SetGame, values: list[float]
) -> None:
    found = played(game, shapley_sampling(game.size, 360, None, generator()))
    np.testing.assert_allclose(found.scores, values, atol=1e-12)
    assert found.details == {"permutations": len(list(permutations(values))), "exact": True}
    assert found.standard_errors is None


def test_shapley_sampling_lies_within_its_errors() -> None:
    game = random_game(6)
    exact = played(game, kernel_shap(6, 2, 12, generator())).scores
    outside = 0
    for seed in range(100):
        found = played(game, shapley_sampling(6, 128, None, generator(seed)))
        assert found.standard_errors is not None
        outside += int((abs(found.scores - exact) > 3 * found.standard_errors).sum())
    # Of 600 scores; 1.6 are expected.
    assert outside <= 6


def test_shapley_sampling_stops_at_its_tolerance() -> None:
    game = random_game(8)
    found = played(game, shapley_sampling(8, 10_000, 0.05, generator()))
    whole = game.function(np.ones((1, 8), dtype=bool))[0]
    assert found.standard_errors is not None
    assert found.empty_value is not None
    assert found.standard_errors.max() <= 0.05 * abs(whole - found.empty_value)
    assert found.details["converged"]
    assert 16 <= found.details["permutations"] < 20_000


def test_shapley_sampling_of_a_linear_game_is_exact() -> None:
    found = played(LINEAR, shapley_sampling(6, 2, 0.01, generator()))
    np.testing.assert_allclose(found.scores, WEIGHTS, atol=1e-9)


def test_context_cite_lies_within_its_errors() -> None:
    """The best linear fit of a linear game is the game, on any coalitions."""
    outside = 0
    for seed in range(100):
        found = played(LINEAR, context_cite(6, 64, 0.01, 50, generator(seed)))
        assert found.standard_errors is not None
        outside += bool((abs(found.scores - WEIGHTS) > 3 * found.standard_errors).any())
    assert outside <= 1


def test_owen_of_single_units_under_one_block_of_two() -> None:
    """The glove game with the left gloves in one block: 1/4 each, and 1/2 for the right one."""
    tree = halved([Tree((0,)), Tree((1,)), Tree((2,))])
    found = played(GLOVE, owen(tree, 512))
    np.testing.assert_allclose(found.scores, [1 / 4, 1 / 4, 1 / 2], atol=1e-12)
    assert found.details["exact"]


def test_owen_is_the_mean_over_the_orders_that_keep_blocks_together() -> None:
    game = random_game(4)
    tree = halved([Tree((unit,)) for unit in range(4)])
    orders = [order for order in permutations(range(4)) if set(order[:2]) in ({0, 1}, {2, 3})]
    expected = by_orders(game, orders)
    np.testing.assert_allclose(played(game, owen(tree, 10_000)).scores, expected, atol=1e-12)


def test_owen_shares_what_it_cannot_divide() -> None:
    game = random_game(8)
    tree = halved([Tree((unit,)) for unit in range(8)])
    found = played(game, owen(tree, 6))
    whole = game.function(np.ones((1, 8), dtype=bool))[0]
    assert found.empty_value is not None
    assert found.scores.sum() == pytest.approx(whole - found.empty_value)
    assert not found.details["exact"]
    assert found.details["evaluations"] <= 6


def test_a_tree_of_words_in_sentences() -> None:
    tree = nested([(0, 0), (0, 0), (0, 1), (1, 2)])
    assert tree.members == (0, 1, 2, 3)
    assert [half.members for half in tree.halves] == [(0, 1, 2), (3,)]
    assert [half.members for half in tree.halves[0].halves] == [(0, 1), (2,)]


def test_leave_one_out_by_hand() -> None:
    np.testing.assert_allclose(played(LINEAR, leave_one_out(6)).scores, WEIGHTS)
    # Windows (0, 1) and (1, 2): unit 1 is in both.
    np.testing.assert_allclose(played(GLOVE, leave_one_out(3, 2)).scores, [1.0, 1.0, 1.0])
    np.testing.assert_allclose(
        played(LINEAR, leave_one_out(6, 2)).scores,
        [-1.5, (-1.5 + 0.5) / 2, (0.5 + 1.0) / 2, (1.0 + 4.0) / 2, (4.0 + 2.75) / 2, 2.75],
    )


def test_a_window_wider_than_the_input_removes_all() -> None:
    np.testing.assert_allclose(played(XOR, leave_one_out(2, 9)).scores, [0.0, 0.0])


def test_lime_of_a_linear_game_without_a_penalty_is_exact() -> None:
    found = played(LINEAR, lime(6, 64, 0.25, 0.0, generator()))
    np.testing.assert_allclose(found.scores, WEIGHTS, atol=1e-9)
    assert found.standard_errors is not None
    assert found.standard_errors.max() < 1e-9


@pytest.mark.parametrize("width", [1e-300, 0.005, 0.01])
def test_a_kernel_that_is_too_narrow_for_lime(width: float) -> None:
    with pytest.raises(InterpretationError, match=r"no copy of the input.* has any weight; raise"):
        played(LINEAR, lime(6, 64, width, 1.0, generator()))


@pytest.mark.parametrize(("width", "penalty"), [(0.25, 1.0), (1.0, 1.0), (0.25, 1e-6)])
def test_lime_says_where_its_penalty_is_all(width: float, penalty: float) -> None:
    one = SetGame(1, lambda masks: masks[:, 0].astype(float))
    found = played(one, lime(1, 64, width, penalty, generator()))
    assert bool(found.warnings) == (found.scores[0] < 0.1)
    assert all("near 0 whatever the model does" in warning for warning in found.warnings)


def test_the_neighbours_of_lime() -> None:
    masks = neighbours(5, 200, generator())
    assert masks.shape == (200, 5)
    assert masks[0].all()
    assert not masks[1:].all(axis=1).any()
    assert set((~masks[1:]).sum(axis=1).tolist()) == {1, 2, 3, 4, 5}
    # exp(-(1 - sqrt(k / n))² / σ²)
    expected = np.exp(-((1 - np.sqrt(masks.sum(axis=1) / 5)) ** 2) / 0.0625)
    np.testing.assert_allclose(proximity(masks, 0.25), expected)


def test_sobol_of_a_linear_game_is_the_share_of_the_variance() -> None:
    found = played(LINEAR, sobol(6, 4096, 0))
    np.testing.assert_allclose(found.scores, WEIGHTS**2 / (WEIGHTS**2).sum(), atol=0.02)


def test_reagent_by_hand() -> None:
    masks = np.array([[True, False], [False, True]])
    # Step 1 replaces unit 1 and loses 0.5: logit((1 ± 0.5) / 2) = ± log 3; step 2 loses nothing.
    logits = np.array([-np.log(3.0), np.log(3.0)])
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(importance(masks, np.array([0.5, 0.0])), expected)


def test_the_minimal_sufficient_set() -> None:
    found = played(GLOVE, minimal_sufficient_set(3, 0.9))
    assert found.details["sufficient"] in ([0, 2], [1, 2])
    assert found.scores.sum() == 2.0
    assert found.details["sufficient_value"] == 1.0


@pytest.mark.parametrize("stride", [2, 3, 10])
def test_a_stride_finds_a_sufficient_set_too(stride: int) -> None:
    game = SetGame(9, lambda m: (m[:, 3] & m[:, 7]).astype(float))
    found = played(game, minimal_sufficient_set(9, 0.9, stride))
    assert found.details["sufficient"] == [3, 7]


def test_a_sufficient_set_of_a_target_that_rises() -> None:
    """What speaks against the prediction: F(x) is lower than F(∅)."""
    game = SetGame(4, lambda m: -m[:, 2].astype(float))
    assert played(game, minimal_sufficient_set(4, 0.9)).details["sufficient"] == [2]


def test_the_lasso_is_that_of_the_context_cite_package() -> None:
    """Their solver: a StandardScaler and a Lasso, the coefficients divided by the scale."""
    from sklearn.linear_model import Lasso
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    masks = ablations(9, 64, generator())
    # A unit that is never removed has no variance.
    masks[:, 8] = True
    weights = np.array([2.0, -1.0, 0.5, 0.0, 0.005, 0.0, 3.0, -0.25, 1.0])
    values = masks @ weights + 0.1 * generator(1).standard_normal(64)
    scaler, theirs = StandardScaler(), Lasso(alpha=0.01, random_state=0, fit_intercept=True)
    make_pipeline(scaler, theirs).fit(masks.astype(np.float64), values)
    found, _ = lasso(masks, values, 0.01)
    np.testing.assert_allclose(found, theirs.coef_ / scaler.scale_, atol=1e-12)
    assert found[8] == 0.0
    assert abs(found[6] - 3.0) < 0.1


@pytest.mark.parametrize("rows", [1, 3])
def test_an_input_without_units_has_its_rows(rows: int) -> None:
    """No number of rows follows from a width of zero."""

    def estimator() -> Estimator:
        values = yield np.ones((rows, 0), dtype=bool)
        return UnitScores(np.zeros(0), empty_value=float(values.sum()))

    found = played(SetGame(0, lambda m: np.full(len(m), 2.0)), estimator())
    assert found.empty_value == 2.0 * rows
