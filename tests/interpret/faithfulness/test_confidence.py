"""The interval of a mean, over inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allennlp_saliency.interpret.faithfulness import mean_interval


def test_the_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(2.0, 1.0, 400).tolist()
    found = mean_interval([*values, float("nan")])
    assert found.count == 400
    assert found.mean == pytest.approx(np.mean(values))
    # The normal approximation: 1.96 standard errors.
    assert found.high - found.mean == pytest.approx(1.96 * np.std(values) / 20, rel=0.1)
    assert found == mean_interval(values)
    assert str(mean_interval([])) == "-"
    assert mean_interval([1.0, 1.0]).low == 1.0
    assert mean_interval([1.0]).high == math.inf


def test_an_input_with_several_explanations_is_drawn_whole() -> None:
    values = np.random.default_rng(1).normal(size=30)
    copies = np.repeat(values, 5).tolist()
    found = mean_interval(copies, groups=np.repeat(np.arange(30), 5).tolist())
    alone = mean_interval(values.tolist())
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))
    assert found.count == 150
    # Taken for independent, five copies make it more than twice as sure.
    apart = mean_interval(copies)
    assert apart.high - apart.low < (alone.high - alone.low) / 2
    assert mean_interval([1.0, 2.0], groups=[7, 7]).high == math.inf
