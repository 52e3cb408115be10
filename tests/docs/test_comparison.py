"""`docs/comparison.md` is what was measured, of every method, and every failure has its reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.interpret.methods.layer_methods import AtLayer

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(DOCS / "lib"))

import comparison_page  # noqa: E402

HINT = "run `python docs/make_comparison.py`"
RESULTS: dict[str, Any] = json.loads((DOCS / "comparison.json").read_text(encoding="utf-8"))
METHODS = {
    name
    for name in SaliencyInterpreter.list_available()
    if issubclass(SaliencyInterpreter.by_name(name), SaliencyInterpreter)
    and SaliencyInterpreter.by_name(name).__module__.startswith("allennlp_saliency.")
    and not issubclass(SaliencyInterpreter.by_name(name), AtLayer)
} - set(comparison_page.LEFT_OUT)


def test_the_page_is_what_was_measured() -> None:
    page = (DOCS / "comparison.md").read_text(encoding="utf-8")
    assert page == comparison_page.page(RESULTS), HINT


def test_there_is_a_table_for_every_fixture_but_those_that_the_page_names() -> None:
    fixtures = {path.parent.name for path in (DOCS.parent / "fixtures").glob("*/model.tar.gz")}
    assert set(RESULTS) == fixtures - {*comparison_page.NOT_MEASURED}, HINT


@pytest.mark.parametrize("fixture", RESULTS)
def test_every_method_is_there_or_says_why_not(fixture: str) -> None:
    one = RESULTS[fixture]
    compared = {row["interpreter"] for row in one["rows"]}
    assert not compared & set(one["refused"])
    assert compared | set(one["refused"]) == METHODS, HINT
    assert len({row["removal"] for row in one["rows"]}) == 2


@pytest.mark.parametrize("fixture", RESULTS)
def test_intervals_hold_their_means(fixture: str) -> None:
    for row in RESULTS[fixture]["rows"]:
        for metric in ("comprehensiveness", "sufficiency", "rationale-f1"):
            found = row[metric]
            assert found["low"] <= found["mean"] <= found["high"]
            assert found["inputs"] >= 16


def test_chance_is_no_better_than_itself_and_shapley_values_are() -> None:
    for one in RESULTS.values():
        for removal in one["comprehensiveness_above_random"]:
            assert not comparison_page.beats_random(one, "random", removal)
    hard = RESULTS["sentiment-hard"]
    assert comparison_page.beats_random(hard, "kernel-shap", "mask")
    assert comparison_page.beats_random(hard, "kernel-shap", "delete")


@pytest.mark.parametrize("fixture", [name for name in RESULTS if name.endswith("-hard")])
def test_no_method_finds_the_whole_of_hard_reasons(fixture: str) -> None:
    means = {row["interpreter"]: row["rationale-f1"]["mean"] for row in RESULTS[fixture]["rows"]}
    assert means.pop("random") < 0.3
    assert 0.5 < max(means.values()) < 0.95
