"""The interval of a mean, over inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from allennlp_saliency.interpret.faithfulness import mean_interval
from allennlp_saliency.interpret.faithfulness.confidence import bootstrap_level


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


@pytest.mark.parametrize("inputs", [2, 5, 6, 10, 16])
def test_few_inputs_hold_the_mean_of_all_as_often_as_promised(inputs: int) -> None:
    generator = np.random.default_rng(inputs)
    draws = [generator.normal(3.0, 2.0, inputs).tolist() for _ in range(400)]
    found = [mean_interval(one) for one in draws]
    held = sum(one.low <= 3.0 <= one.high for one in found)
    # 95 % of 400 draws are 380, give or take 4.4; the percentile bootstrap alone holds 348 of 10.
    assert 364 <= held <= 396


def test_below_six_inputs_the_interval_is_students() -> None:
    values = [0.1, 0.4, 0.45, 0.7]
    found = mean_interval(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    twice = mean_interval([*values, *values], groups=[*range(4), *range(4)])
    assert (twice.low, twice.high) == pytest.approx(tuple(expected))


def test_the_level_is_that_of_students_t() -> None:
    # Hesterberg 2015, table 5, of two-sided 95 %: the tail at n = 10 is 0.0086, at 20 0.0161.
    for inputs, tail in ((10, 0.0086), (20, 0.0159)):
        assert (1 - bootstrap_level(inputs)) / 2 == pytest.approx(tail, abs=2e-4)
