"""What follows from a comparison, on tables made by hand whose answer is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap

from allennlp_saliency.interpret.faithfulness import Comparison

Numbers = Mapping[str, Sequence[float | None]]


def compared(numbers: Numbers, metric: str = "comprehensiveness", **more: Any) -> Comparison:
    """A comparison by one metric and removal, an explanation for each input."""
    inputs = len(next(iter(numbers.values())))
    records: list[dict[str, Any]] = [
        {
            "input": number,
            "place": 0,
            "removal": "mask",
            "measured": {name: {metric: own[number]} for name, own in numbers.items()},
            "agreement": {},
        }
        for number in range(inputs)
    ]
    return Comparison(
        list(numbers), [metric], ["mask"], records, dict.fromkeys(numbers, 0.5), **more
    )


def table(inputs: int, seed: int = 0, sign: int = 1) -> dict[str, list[float]]:
    """Where what is good and bad is known: `good` and `near` differ by next to nothing, `bad` is
    far from both, `blind` is `random` but for noise, `wrong` is worse than chance."""
    generator = np.random.default_rng(seed)
    hard = generator.normal(size=inputs)
    means = {"good": 0.41, "near": 0.4, "bad": 0.2, "blind": 0.1, "wrong": 0.0, "random": 0.1}
    return {
        name: list(sign * (mean + hard + generator.normal(0, 0.05, inputs)))
        for name, mean in means.items()
    }


def test_what_is_known_is_said() -> None:
    found = compared(table(30))
    (one,) = found.conclusions
    assert one.best == "good"
    assert one.tied == ["near"]
    assert one.worse == ["bad", "blind", "wrong"]
    assert one.not_better_than_random == ["blind", "wrong"]
    assert one.worse_than_random == ["wrong"]
    (row,) = found.conclusion_rows()
    near, blind = one.behind[0].needed, one.beyond[3].needed
    assert row["conclusion"] == (
        f"On 30 inputs, by comprehensiveness (mask): good is best ({one.means['good']:.3f}); near "
        "cannot be distinguished from it (if the difference is as seen, it takes about "
        f"{near:,} inputs); "
        "bad, blind and wrong are worse; blind is not shown to be better than random (if the "
        f"difference is as seen, it takes about {blind:,} inputs); wrong is worse than random."
    )
    assert one.means["good"] == pytest.approx(np.mean(table(30)["good"]))


def test_it_is_what_scipy_and_holm_say() -> None:
    """An independent computation of the same answer."""
    numbers = {name: np.array(own) for name, own in table(30, seed=4).items()}
    best = max((n for n in numbers if n != "random"), key=lambda n: numbers[n].mean())

    def chance(one: str, other: str) -> float:
        drawn = bootstrap(
            (numbers[one], numbers[other]),
            lambda a, b, axis=-1: (a - b).mean(axis=axis),
            paired=True,
            vectorized=True,
            n_resamples=20_000,
            method="percentile",
            rng=np.random.default_rng(9),
        ).bootstrap_distribution
        return 2 * min((drawn <= 0).mean(), (drawn >= 0).mean())

    def rejected(pairs: list[tuple[str, str]]) -> set[tuple[str, str]]:
        ordered = sorted(pairs, key=lambda pair: chance(*pair))
        found: set[tuple[str, str]] = set()
        for rank, pair in enumerate(ordered):
            if chance(*pair) * (len(pairs) - rank) >= 0.05:
                break
            found.add(pair)
        return found

    (one,) = compared({name: list(own) for name, own in numbers.items()}).conclusions
    assert one.best == best
    behind = [(best, name) for name in numbers if name not in (best, "random")]
    assert {(best, name) for name in one.worse} == rejected(behind)
    beyond = [(name, "random") for name in numbers if name != "random"]
    assert {(p.method, p.other) for p in one.beyond if p.distinguished} == rejected(beyond)


def test_where_lower_is_better_the_lowest_is_best() -> None:
    higher, lower = table(30), table(30, sign=-1)
    (one,) = compared(higher).conclusions
    (other,) = compared(lower, "sufficiency").conclusions
    for name in ("best", "tied", "worse", "not_better_than_random", "worse_than_random"):
        assert getattr(one, name) == getattr(other, name)
    assert other.behind[0].mean == pytest.approx(-one.behind[0].mean)
    # Normalised, 1 is the reachable limit: who measured says so, and not the name alone.
    turned = compared(
        higher,
        "sufficiency (normalized True)",
        higher_is_better={"sufficiency (normalized True)": True},
    )
    assert turned.conclusions[0].best == "good"
    assert "sufficiency (normalized True) ↑ |" in turned.to_markdown()


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (
            1,
            "On 1 input, by comprehensiveness (mask): nothing can be concluded: it takes at least "
            "6 inputs to tell anything from chance; one has the best mean (0.900); one input does "
            "not say how many more it takes.",
        ),
        (
            4,
            "On 4 inputs, by comprehensiveness (mask): nothing can be concluded: it takes at least "
            "6 inputs to tell anything from chance; one has the best mean (0.850); if the "
            "differences are as seen, it takes about 6 inputs to tell it from random.",
        ),
        (
            6,
            "On 6 inputs, by comprehensiveness (mask): one has 0.850; it is better than random.",
        ),
    ],
)
def test_few_inputs_say_nothing_however_clear_they_look(inputs: int, expected: str) -> None:
    numbers = {"one": [0.9, 0.8] * 3, "random": [0.1, 0.0] * 3}
    found = compared({name: own[:inputs] for name, own in numbers.items()})
    (row,) = found.conclusion_rows()
    assert row["conclusion"] == expected
    assert row["too_few_inputs"] == (inputs < 6)
    assert f"- {expected}" in found.to_markdown()


def test_ties() -> None:
    same = [0.3, 0.5, 0.4, 0.6] * 5
    random = [value - 0.2 + 0.01 * (n % 3) for n, value in enumerate(same)]
    found = compared({"one": same, "other": same, "random": random})
    (one,) = found.conclusions
    assert (one.best, one.tied, one.worse) == ("one", ["other"], [])
    (row,) = found.conclusion_rows()
    assert row["conclusion"] == (
        "On 20 inputs, by comprehensiveness (mask): one has the best mean (0.450), but other has "
        "the same on every input; both are better than random."
    )
    (nothing,) = compared({"one": same, "other": same, "random": same}).conclusion_rows()
    assert nothing["conclusion"].endswith(
        "has the same on every input; none is shown to be better than random."
    )
    assert nothing["best_minus_other"][0]["needed"] is None


def test_only_inputs_that_both_have_are_paired() -> None:
    numbers: dict[str, list[float | None]] = {k: [*v] for k, v in table(30).items()}
    # `near` failed where all are bad, so that its mean is the best of all, and has no meaning.
    worst = np.argsort(numbers["good"])[:12]
    for number in worst:
        numbers["near"][number] = None
    numbers["bad"][int(worst[0])] = math.nan
    found = compared(numbers)
    assert found.interval("near", "comprehensiveness", "mask").mean > (
        found.interval("good", "comprehensiveness", "mask").mean + 0.1
    )
    (one,) = found.conclusions
    assert one.inputs == 18
    assert one.best == "good"
    pairs = {each.other: each.inputs for each in one.behind}
    assert pairs == {"near": 18, "bad": 29, "blind": 30, "wrong": 30}
    assert one.tied == ["near"]
    assert "| near | " in found.to_markdown()
    assert " (18 of 30) |" in found.to_markdown()


def test_what_has_no_numbers_is_named_and_costs_the_others_nothing() -> None:
    numbers: dict[str, list[float | None]] = {k: [*v] for k, v in table(30).items()}
    whole = compared(numbers).conclusions[0]
    numbers["absent"] = [None] * 30
    numbers["seldom"] = [9.0] * 5 + [None] * 25
    found = compared(numbers)
    (one,) = found.conclusions
    assert (one.best, one.inputs) == ("good", 30)
    assert (one.left_out, one.unmeasured) == (["absent", "seldom"], ["absent"])
    assert one.behind == whole.behind
    (row,) = found.conclusion_rows()
    assert row["conclusion"].endswith(
        "; seldom has numbers for too few of the inputs; absent has no number."
    )


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda numbers: {
        name: [None] * len(own) if name in names else own for name, own in numbers.items()
    }


def test_without_random_nothing_is_said_of_chance() -> None:
    (row,) = compared(without("random")(table(30)), "max-sensitivity").conclusion_rows()
    assert row["method_minus_random"] == row["not_better_than_random"] == []
    assert "better than random" not in row["conclusion"]
    assert row["conclusion"].endswith("; random has no number.")
    rest = without("random", "near", "bad", "blind", "wrong")(table(30))
    (row,) = compared(rest).conclusion_rows()
    assert "only good has a number (" in row["conclusion"]
    (row,) = compared(without(*table(1))(table(30))).conclusion_rows()
    assert row["conclusion"].endswith(": nothing was measured.")
    assert row["best"] is None
    assert compared(without(*table(1))(table(3))).conclusions[0].too_few


def test_many_that_cannot_be_told_are_counted_by_the_nearest() -> None:
    generator = np.random.default_rng(1)
    numbers = {f"m{n}": list(generator.normal(0, 1, 20)) for n in range(8)}
    numbers["random"] = list(generator.normal(0, 1, 20))
    (row,) = compared(numbers).conclusion_rows()
    needed = [one["needed"] for one in row["best_minus_other"] if one["needed"]]
    assert f"(it takes about {min(needed):,} inputs or more)" in row["conclusion"]
    assert "none is shown to be better than random" in row["conclusion"]


def test_what_is_alike_for_removals_is_said_once() -> None:
    numbers = table(30)
    found = compared(numbers)
    twice = [*found.records, *({**one, "removal": "delete"} for one in found.records)]
    both = Comparison(found.methods, found.metrics, ["mask", "delete"], twice, found.seconds)
    assert both.to_markdown().count("- On 30 inputs, ") == 1
    assert "by comprehensiveness (mask and delete): good is best" in both.to_markdown()
    assert [one.removal for one in both.conclusions] == ["mask", "delete"]


def test_rows_say_it_cell_by_cell_in_json() -> None:
    rows = {row["interpreter"]: row["comprehensiveness"] for row in compared(table(30)).rows()}
    assert {name: (one["place"], one["better_than_random"]) for name, one in rows.items()} == {
        "good": ("best", True),
        "near": ("tied", True),
        "bad": ("worse", True),
        "blind": ("worse", False),
        "wrong": ("worse", False),
        "random": (None, None),
    }
    few = compared(table(1))
    for row in few.rows():
        own = row["comprehensiveness"]
        assert own["low"] is own["high"] is own["place"] is own["better_than_random"] is None

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    for one in (*few.rows(), *few.conclusion_rows(), *compared(table(30)).conclusion_rows()):
        json.loads(json.dumps(one), parse_constant=refuse)


def test_the_table_says_what_its_numbers_are() -> None:
    text = compared(table(30), passes={"good": 12.5, "near": 1234.0}).to_markdown()
    assert text.startswith(
        "Compared on 30 inputs. A cell is a mean over explanations with its 95 %"
    )
    assert "| interpreter | comprehensiveness ↑ |" in text
    assert "| good | 0.5 | 12.5 |\n| near | 0.5 | 1,234 |\n| bad | 0.5 | - |" in text
    assert "What follows, at 95 % (paired bootstrap over the same inputs, Holm's correction" in text
    small = compared({"one": [2e-5, 4e-5], "random": [1e-5, 2e-5]}, "infidelity").to_markdown()
    # Student's t of two values: 12.7 standard errors of 0.00001.
    assert "| one | 0.0000300 [-0.0000971, 0.0001571] |" in small
    assert "has the best mean (3e-05)" in small
