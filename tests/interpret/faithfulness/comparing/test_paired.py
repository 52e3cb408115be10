"""Differences of two methods on the same inputs, against scipy and against counts made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, t, ttest_1samp

from allennlp_saliency.interpret.faithfulness.comparing.paired import (
    Draws,
    Paired,
    family,
    fewest_inputs,
    holm,
)


def one_each(values: Sequence[float]) -> dict[tuple[int, int], float]:
    """A value for each input."""
    return {(number, 0): float(value) for number, value in enumerate(values)}


def paired(one: Sequence[float], other: Sequence[float]) -> Paired:
    (found,) = family([("one", "other")], {"one": one_each(one), "other": one_each(other)}, Draws())
    return found


def drawn(inputs: int, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two methods' values: what is hard is hard for both."""
    generator = np.random.default_rng(seed)
    hard = generator.normal(size=inputs)
    noise = generator.gamma(2.0, 0.1, size=(2, inputs))
    return hard + noise[0] + shift, hard + noise[1]


@pytest.mark.parametrize("inputs", [8, 30, 200])
def test_the_interval_is_that_of_scipy(inputs: int) -> None:
    one, other = drawn(inputs, 0.03)
    found = paired(one, other)
    # Hesterberg's: the percentiles at which a normal interval is as wide as Student's t.
    wide = t.isf(0.025, inputs - 1) * math.sqrt(inputs / (inputs - 1))
    expected = bootstrap(
        (one, other),
        lambda a, b, axis=-1: (a - b).mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        confidence_level=norm.cdf(wide) - norm.cdf(-wide),
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert found.mean == pytest.approx((one - other).mean())
    width = expected.high - expected.low
    # Two draws of a quantile: a few hundredths of the width.
    assert found.low == pytest.approx(expected.low, abs=0.04 * width)
    assert found.high == pytest.approx(expected.high, abs=0.04 * width)
    # What is hard for both cancels: unpaired, the interval is many times as wide.
    apart = bootstrap(
        (one, other),
        lambda a, b, axis=-1: a.mean(axis=axis) - b.mean(axis=axis),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert found.high - found.low < (apart.high - apart.low) / 2


@pytest.mark.parametrize("inputs", [10, 40])
@pytest.mark.parametrize("shift", [0.01, 0.05, 0.1])
def test_the_chance_is_near_that_of_the_t_test(inputs: int, shift: float) -> None:
    generator = np.random.default_rng(3)
    differences = generator.normal(shift, 0.1, inputs)
    found = paired(differences, np.zeros(inputs))
    p = float(ttest_1samp(differences, 0).pvalue)
    expected = max(p, 2.0 ** (1 - inputs))
    assert found.p == pytest.approx(expected, rel=0.35, abs=1e-4)


def test_the_alarms_are_false_as_often_as_is_said() -> None:
    generator = np.random.default_rng(7)
    draws = Draws()
    pairs = [(f"m{number}", "zero") for number in range(600)]
    for inputs in (6, 10, 30):
        values = {name: one_each(generator.normal(size=inputs)) for name, _ in pairs}
        values["zero"] = one_each(np.zeros(inputs))
        found = family(pairs, values, draws)
        share = np.mean([one.p < 0.05 for one in found])
        # 0.05, within three standard errors of 600 draws.
        assert 0.023 < share < 0.077, inputs
        # Of 600 comparisons at once hardly one.
        assert sum(one.distinguished for one in found) <= 1


def test_all_signs_alike_say_no_more_than_a_coin() -> None:
    for inputs in range(2, 9):
        found = paired([1.0] * inputs, [0.5] * inputs)
        signs = list(product((-1, 1), repeat=inputs))
        alike = sum(abs(sum(one)) == inputs for one in signs) / len(signs)
        assert found.p == pytest.approx(alike)
        assert found.distinguished == (alike < 0.05)
        assert (found.low, found.high) == (0.5, 0.5)


@pytest.mark.parametrize("comparisons", [1, 2, 3, 4, 10, 29])
def test_the_fewest_inputs_that_could_say_anything(comparisons: int) -> None:
    fewest = fewest_inputs(comparisons)
    assert 2.0 ** (1 - fewest) * comparisons < 0.05 <= 2.0 ** (2 - fewest) * comparisons


def test_holm_by_hand() -> None:
    # 0.01 · 4, 0.02 · 3, 0.03 · 2 = 0.06 which is no less than the one before, 0.5 · 1.
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    found = holm([0.01, math.nan, 0.04])
    assert found[0] == pytest.approx(0.02)
    assert math.isnan(found[1])
    assert found[2] == pytest.approx(0.04)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_inputs_that_would_do_are_those_of_the_power_of_a_test() -> None:
    """As many inputs as are named tell the same difference apart in about 80 % of draws."""
    generator = np.random.default_rng(11)
    seen = generator.normal(size=20)
    seen = (seen - seen.mean()) / seen.std(ddof=1) + 0.3  # mean 0.3, deviation 1
    found = paired(seen, np.zeros(20))
    assert not found.distinguished
    assert found.needed == 88  # ((1.960 + 0.842) / 0.3)² = 87.2
    pairs = [(f"m{number}", "zero") for number in range(300)]
    values = {name: one_each(generator.normal(0.3, 1, size=88)) for name, _ in pairs}
    values["zero"] = one_each(np.zeros(88))
    told = [one.p < 0.05 for one in family(pairs, values, Draws())]
    assert 0.73 < np.mean(told) < 0.87


def test_two_figures_are_enough_of_a_guess() -> None:
    generator = np.random.default_rng(2)
    seen = generator.normal(size=40)
    seen = (seen - seen.mean()) / seen.std(ddof=1) + 0.02
    assert paired(seen, np.zeros(40)).needed == 20_000  # 19,623
    assert paired(seen - 0.0199, np.zeros(40)).needed is None  # 785 million


def test_what_is_the_same_is_not_told_apart() -> None:
    found = paired([0.1, 0.7, 0.3] * 10, [0.1, 0.7, 0.3] * 10)
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.needed is None
    # Nor what single precision cannot tell: the same order, in batches of another size.
    assert paired([0.4 + 1e-7] * 30, [0.4] * 30).mean == 0.0


def test_one_input_says_nothing() -> None:
    found = paired([0.9], [0.1])
    assert (found.mean, found.low, found.high) == (pytest.approx(0.8), -math.inf, math.inf)
    assert (found.p, found.needed, found.distinguished) == (1.0, None, False)


def test_only_what_both_have_is_paired() -> None:
    one, other = one_each([5.0, 1.0, 2.0, 3.0]), one_each([9.0, 0.5, 1.5, 2.5])
    del one[0, 0], other[3, 0]
    (found,) = family([("a", "b")], {"a": one, "b": other}, Draws())
    assert (found.inputs, found.mean) == (2, 0.5)
    (nothing,) = family([("a", "b")], {"a": one, "b": {}}, Draws())
    assert nothing.inputs == 0
    assert not nothing.distinguished
    assert math.isnan(nothing.mean)


def test_the_explanations_of_an_input_are_drawn_together() -> None:
    """Ten copies of each input's difference say no more than one."""
    one, other = drawn(12, 0.05)
    several = {
        name: {(number, place): float(v) for number, v in enumerate(own) for place in range(10)}
        for name, own in (("one", one), ("other", other))
    }
    (found,) = family([("one", "other")], several, Draws())
    alone = paired(one, other)
    for key in ("mean", "low", "high", "p", "inputs"):
        assert getattr(found, key) == pytest.approx(getattr(alone, key))


def test_the_same_seed_gives_the_same_and_shared_draws_change_nothing() -> None:
    one, other = drawn(25, 0.02)
    values = {"one": one_each(one), "other": one_each(other), "third": one_each(one[::-1])}
    draws = Draws()
    family(
        [("one", "third")],
        {name: one_each(v) for name, v in zip(("one", "third"), drawn(7, 0), strict=True)},
        draws,
    )
    pairs = [("one", "other"), ("one", "third")]
    first, again = family(pairs, values, draws), family(pairs, values, draws)
    assert first == again == family(pairs, values, Draws())
    assert family(pairs, values, Draws(1)) != first


def test_many_inputs_are_drawn_in_pieces() -> None:
    one, other = drawn(2_500, 0.01)
    found = paired(one, other)
    error = (one - other).std(ddof=1) / 50
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)
