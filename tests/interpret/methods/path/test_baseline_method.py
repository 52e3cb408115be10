"""Of several baselines the mean of all that was found against each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from allennlp_saliency.interpret import PairInteractions, ShapleySampling
from tests.zoo import Zoo

TEXT = {"sentence": "the plot was not bad"}
NAMES = ("zero", "mask")


def test_interactions_of_several_baselines_are_means(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    found: dict[Any, Any] = {}
    for baseline in (*NAMES, NAMES):
        given = list(baseline) if isinstance(baseline, tuple) else baseline
        (found[baseline],) = PairInteractions(predictor, baseline=given).interpret_json(TEXT)
    assert len(found[NAMES].interactions) == 10
    for pair, *alone in zip(*(found[name].interactions for name in (NAMES, *NAMES)), strict=True):
        assert {(one.first, one.second) for one in alone} == {(pair.first, pair.second)}
        assert pair.value == pytest.approx(np.mean([one.value for one in alone]), abs=1e-6)


def test_pairs_of_the_best_are_those_of_all_baselines(zoo: Zoo) -> None:
    method = PairInteractions(zoo.predictor("bert"), baseline=list(NAMES), best=3)
    (found,) = method.interpret_json(TEXT)
    assert len(found.interactions) <= 3


def test_standard_errors_of_several_baselines_are_no_smaller_than_the_means(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    errors = {}
    for baseline in (*NAMES, NAMES):
        given = list(baseline) if isinstance(baseline, tuple) else baseline
        method = ShapleySampling(predictor, num_pairs=4, baseline=given)
        (one,) = method.interpret_json(TEXT)
        assert one.inputs[0].standard_errors is not None
        errors[baseline] = np.array(one.inputs[0].standard_errors)
    np.testing.assert_allclose(
        errors[NAMES], np.mean([errors[name] for name in NAMES], axis=0), rtol=1e-5, atol=1e-9
    )
    assert errors[NAMES].max() > 0
