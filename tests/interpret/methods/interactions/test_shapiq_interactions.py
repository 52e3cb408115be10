"""Interactions by shapiq, and our exact methods beside its exact computer."""

from __future__ import annotations

import sys
import threading
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from allennlp_saliency.interpret import KernelShap
from allennlp_saliency.interpret.coalitions.game import SetGame
from allennlp_saliency.interpret.methods.interactions.pair_interactions import pair_interactions
from allennlp_saliency.interpret.methods.interactions.shapiq_interactions import (
    asking,
    interactions,
)
from allennlp_saliency.interpret.methods.perturbation.kernel_shap import kernel_shap
from tests.interpret.methods.perturbation.games import played
from tests.zoo.functions import predictor_of, spread_vectors

WORDS = ("up", "down", "left", "right", "far")
VECTORS = spread_vectors(WORDS, 3)
WEIGHTS = torch.tensor([0.7, -0.4, 0.2])
TEXT = {"sentence": "up down left far"}


def squared(x: Tensor) -> Tensor:
    """The first logit is the square of a sum over tokens: each pair i, j adds 2 a_i a_j."""
    total = (x @ WEIGHTS).sum(1) ** 2
    return torch.stack([total, torch.zeros_like(total)], dim=-1)


def amount(word: str) -> float:
    return float(torch.tensor(VECTORS[word]) @ WEIGHTS)


@pytest.fixture(scope="module")
def predictor() -> Any:
    return predictor_of(squared, VECTORS)


def random_game(units: int) -> SetGame:
    values = np.random.default_rng(0).standard_normal(2**units)
    return SetGame(units, lambda m: values[np.asarray(m, dtype=int) @ (1 << np.arange(units))])


def test_without_shapiq_the_error_says_what_to_install(
    predictor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shapiq", None)
    with pytest.raises(ConfigurationError, match=r"pip install .*\[interactions\]"):
        interactions(predictor, [TEXT])


def test_a_function_that_asks_is_an_estimator() -> None:
    def compute(ask: Any) -> float:
        first = ask(np.array([[True, False]]))
        return float(first[0] + ask(np.array([[True, True]]))[0])

    estimator = asking(compute)
    assert next(estimator).tolist() == [[True, False]]
    assert estimator.send(np.array([1.0])).tolist() == [[True, True]]
    with pytest.raises(StopIteration) as end:
        estimator.send(np.array([2.0]))
    assert end.value.value == 3.0


def test_an_estimator_that_is_given_up_leaves_no_thread() -> None:
    before = threading.active_count()
    estimator = asking(lambda ask: ask(np.ones((1, 2), dtype=bool)))
    next(estimator)
    assert threading.active_count() == before + 1
    estimator.close()
    assert threading.active_count() == before


def test_an_error_of_the_function_is_raised() -> None:
    def compute(ask: Any) -> None:
        raise ValueError("no index")

    with pytest.raises(ValueError, match="no index"):
        next(asking(compute))


def test_kernel_shap_is_shapiqs_exact_shapley_value() -> None:
    shapiq = pytest.importorskip("shapiq")
    game = random_game(6)
    exact = shapiq.ExactComputer(n_players=6, game=game.function)("SV", 1)
    found = played(game, kernel_shap(6, 16, 12, np.random.default_rng(0)))
    np.testing.assert_allclose(
        found.scores, [exact.interactions[(unit,)] for unit in range(6)], atol=1e-9
    )


def test_pair_interactions_are_shapiqs_derivatives_at_the_whole_input() -> None:
    """The second derivative at the whole input is the co-Moebius transform of pairs."""
    shapiq = pytest.importorskip("shapiq")
    game = random_game(5)
    exact = shapiq.ExactComputer(n_players=5, game=game.function)("Co-Moebius", 2)
    found = {(i, j): value for i, j, value in played(game, pair_interactions(5)).interactions}
    assert set(found) == set(combinations(range(5), 2))
    for pair, value in found.items():
        assert value == pytest.approx(exact.interactions[pair], abs=1e-9)


@pytest.mark.parametrize("index", ["FSII", "k-SII", "STII"])
def test_pairs_of_a_quadratic_model(predictor: Any, index: str) -> None:
    pytest.importorskip("shapiq")
    ((one,),) = interactions(
        predictor, [TEXT], index, target={"type": "logit", "label": "no"}, baseline="zero"
    )
    words = TEXT["sentence"].split()
    assert len(one.interactions) == 6
    for pair in one.interactions:
        a, b = (amount(words[token]) for _, token in (pair.first, pair.second))
        assert pair.value == pytest.approx(2 * a * b, abs=1e-5)
    alone = np.array([amount(word) ** 2 for word in words])
    if index == "FSII":
        np.testing.assert_allclose(one.inputs[0].attributions, alone, atol=1e-5)


def test_shapley_values_of_a_model_are_those_of_kernel_shap(predictor: Any) -> None:
    pytest.importorskip("shapiq")
    common: dict[str, Any] = {"target": {"type": "logit", "label": "no"}, "baseline": "zero"}
    ((one,),) = interactions(predictor, [TEXT], "SV", order=1, **common)
    (other,) = KernelShap(predictor, **common).interpret_json(TEXT)
    np.testing.assert_allclose(one.inputs[0].attributions, other.inputs[0].attributions, atol=1e-5)
    assert one.interactions == []


def test_an_approximator_with_enough_values_is_exact(predictor: Any) -> None:
    pytest.importorskip("shapiq")
    common: dict[str, Any] = {"target": {"type": "logit", "label": "no"}, "baseline": "zero"}
    ((exact,),) = interactions(predictor, [TEXT], **common)
    ((found,),) = interactions(
        predictor, [TEXT], approximator="RegressionFSII", budget=16, **common
    )
    assert [one.first for one in found.interactions] == [one.first for one in exact.interactions]
    for one, other in zip(found.interactions, exact.interactions, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"index": "no-such"}, "there is no index 'no-such'; there are "),
        ({"approximator": "no-such"}, "shapiq has no approximator 'no-such'"),
        ({"approximator": "ExactComputer"}, "shapiq has no approximator 'ExactComputer'"),
        ({"approximator": "RegressionFSII", "index": "STII"}, "does not approximate STII"),
        ({"order": 3}, "order"),
    ],
)
def test_names_that_there_are_not(predictor: Any, settings: dict[str, Any], message: str) -> None:
    pytest.importorskip("shapiq")
    with pytest.raises(ConfigurationError, match=message):
        interactions(predictor, [TEXT], **settings)


def test_a_long_text_takes_an_approximator_and_a_seed(predictor: Any) -> None:
    pytest.importorskip("shapiq")
    pytest.importorskip("lightgbm")
    text = {"sentence": " ".join([*WORDS, *WORDS, *WORDS[:4]])}
    settings: dict[str, Any] = {"target": {"type": "logit", "label": "no"}, "budget": 400}
    ((one,),), ((again,),) = (interactions(predictor, [text], **settings) for _ in range(2))
    assert one.interactions == again.interactions
    assert one.details["estimated"]
    words = text["sentence"].split()
    expected = [
        2 * amount(words[p.first[1]]) * amount(words[p.second[1]]) for p in one.interactions
    ]
    found = [pair.value for pair in one.interactions]
    assert np.corrcoef(found, expected)[0, 1] > 0.9
