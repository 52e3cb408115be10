"""How a comparison goes on when somebody fails or the time is up, and beside another checkout."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.case import Case
from benchmarks.compare import compare
from benchmarks.plain.coalitions import coalitions
from benchmarks.process_stage import _check_imported, _first_on_path, _link
from benchmarks.rows.row import BEFORE, Entry, Goal, Row, beside_before
from benchmarks.table import table
from benchmarks.timing import ContestantError, Run
from benchmarks.workloads import TINY, sentences, with_context

ROW = Row(
    "a-row",
    "A row",
    Case(TINY, sentences([5])),
    (Entry("ours", "ours"), Entry("a peer", "peer")),
    (Goal("a peer", "ours", at_least=1),),
    rounds=3,
)


class Stage:
    """Takes a second for each run; may fail at one of them."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.runs = 0
        self._fails_at = fails_at

    def prepare(self, name: str, case: Case, warm_up: bool) -> dict[str, Any]:
        if self._fails_at == 0:
            raise ContestantError("ImportError: it is not installed")
        return {}

    def run(self, name: str) -> Run:
        self.runs += 1
        if self.runs == self._fails_at:
            raise ContestantError("its process ended with -9")
        return Run(1.0, 0, [[1.0]])


def test_who_fails_does_not_stop_the_others() -> None:
    for fails_at, why in ((0, "not installed"), (2, "ended with -9")):
        stages = {"ours": Stage(), "peer": Stage(fails_at)}
        result = compare(ROW, stages.__getitem__)
        ours, peer = result["entries"]
        assert len(ours["seconds"]) == 3
        assert peer["median_seconds"] is None
        assert why in peer["failure"]
        assert why in table(result)
        assert result["goals"][0]["met"] is None


def test_the_first_round_always_runs_and_no_other_once_the_time_is_up() -> None:
    stage = Stage()
    result = compare(ROW, lambda name: stage, until=time.monotonic() - 1)
    assert [len(entry["seconds"]) for entry in result["entries"]] == [1, 1]


def test_ours_beside_ours_before() -> None:
    beside = beside_before(ROW)
    assert beside is not None
    assert [one.contestant for one in beside.entries] == ["ours", f"ours{BEFORE}"]
    assert beside.goals == (Goal("ours", "ours, before", at_most=1.1),)
    assert beside_before(Row("start-help", "", ROW.case, ROW.entries)) is None


def test_another_checkout_is_found_first(tmp_path: Path) -> None:
    checkout = Path(__file__).resolve().parents[2]
    _link(checkout, tmp_path)
    package = tmp_path / "allennlp_saliency"
    assert (package / "interpret" / "__init__.py").samefile(checkout / "interpret" / "__init__.py")
    before = list(sys.path)
    with _first_on_path(str(tmp_path)):
        assert sys.path[0] == str(tmp_path)
    assert sys.path == before
    with pytest.raises(AssertionError, match="was imported"):
        _check_imported(tmp_path)


def test_no_row_twice() -> None:
    assert len(coalitions("leave-one-out", 7, 1)) == 8
    assert len(coalitions("lime", 3, 256)) <= 8
    assert len(coalitions("kernel-shap", 9, 512)) == 512
    for method in ("lime", "kernel-shap", "context-cite"):
        masks = coalitions(method, 20, 64)
        assert len(masks.unique(dim=0)) == len(masks) <= 66


def test_parts_of_a_context_are_where_they_are_said_to_be() -> None:
    (text,) = with_context(parts=4, part=3, question=2, after=2)
    parts = [text["prompt"][start:end] for start, end in text["units"]["prompt"]]
    assert all(len(part.split()) == 3 for part in parts)
    assert text["prompt"].split() == [*" ".join(parts).split(), *text["prompt"].split()[-2:]]
