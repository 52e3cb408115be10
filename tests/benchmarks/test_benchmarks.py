"""The benchmark on a model that takes no time: what comes out is whole, and peers agree.

Nothing here looks at a clock.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.case import Case, NotReachedError, fewest_steps
from benchmarks.compare import compare
from benchmarks.contestants import allennlp, ours
from benchmarks.machine import machine, versions
from benchmarks.rows import Goal, Row, rows
from benchmarks.table import goals, markdown, table, write
from benchmarks.timing import LocalStage, ProcessStage
from benchmarks.workloads import TINY, Texts, predictor, sentences, spread

STEPS_AT_EQUAL = [row for row in rows(TINY) if row.name != "accuracy"]
ENTRY_KEYS = {
    "name",
    "median_seconds",
    "seconds",
    "peak_bytes",
    "largest_difference_of_a_score",
    "notes",
    "failure",
}


@pytest.fixture(scope="module")
def stage() -> Callable[[str], LocalStage]:
    stages: dict[str, LocalStage] = {}
    return lambda name: stages.setdefault(name, LocalStage(name, "cpu", threads=1))


def small(row: Row) -> Row:
    return replace(row, case=replace(row.case, texts=row.case.texts[:3]), rounds=2)


@pytest.fixture(scope="module")
def measured(stage: Callable[[str], LocalStage]) -> dict[str, dict]:
    return {row.name: compare(small(row), stage, warm_up=False) for row in STEPS_AT_EQUAL}


@pytest.mark.parametrize("row", STEPS_AT_EQUAL, ids=lambda row: row.name)
def test_a_row_says_everything_about_everybody(row: Row, measured: dict[str, dict]) -> None:
    result = measured[row.name]
    assert {"name", "title", "rounds", "entries", "goals"} == set(result)
    assert [entry["name"] for entry in result["entries"]] == [one.label for one in row.entries]
    for entry, asked in zip(result["entries"], row.entries, strict=True):
        assert set(entry) == ENTRY_KEYS
        assert entry["failure"] is None
        assert len(entry["seconds"]) == min(asked.rounds or 2, 2)
        assert min(entry["seconds"]) <= entry["median_seconds"] <= max(entry["seconds"])
        assert entry["peak_bytes"] >= 0
    assert len(result["goals"]) == len(row.goals)
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize("row", STEPS_AT_EQUAL, ids=lambda row: row.name)
def test_everybody_computes_the_same_scores(row: Row, measured: dict[str, dict]) -> None:
    others = {entry["name"]: entry for entry in measured[row.name]["entries"][1:]}
    for asked in row.entries[1:]:
        difference = others[asked.label]["largest_difference_of_a_score"]
        if asked.comparable:
            assert difference < 1e-5, asked.label
        else:
            assert difference is None, asked.label


def test_ig_is_compared_with_every_peer() -> None:
    comparable = {
        row.name: {entry.label for entry in row.entries if entry.comparable} for row in rows(TINY)
    }
    everybody = {"ours", "AllenNLP", "captum", "lower bound"}
    assert comparable["ig-one"] == comparable["ig-many"] == everybody


def test_results_are_written_and_read_back(measured: dict[str, dict], tmp_path) -> None:
    results = {
        "format": 1,
        "date": "2026-01-01",
        "quick": True,
        "machine": machine("cpu"),
        "versions": versions(),
        "rows": list(measured.values()),
    }
    written = write(results, tmp_path / "new")
    assert [path.name for path in written] == ["RESULTS.json", "RESULTS.md"]
    assert json.loads(written[0].read_text(encoding="utf-8")) == results
    text = written[1].read_text(encoding="utf-8")
    assert text == markdown(results)
    assert all(row["title"] in text and table(row) in text for row in measured.values())
    assert goals(results) in text
    assert platform.node() not in text + written[0].read_text(encoding="utf-8")


def test_the_sentences_are_as_long_as_they_should_be() -> None:
    lengths = spread(32, 6, 120)
    assert (len(lengths), min(lengths), max(lengths)) == (32, 6, 120)
    reader = predictor(TINY, "cpu")
    tokens = [reader._json_to_instance(text)["tokens"].tokens for text in sentences(lengths)]
    assert list(map(len, tokens)) == lengths
    assert all(token.text != "[UNK]" for text in tokens for token in text)


def test_the_large_model_has_the_size_of_bert_base() -> None:
    with torch.device("meta"):
        from transformers import BertConfig, BertModel

        from benchmarks.workloads import BERT_BASE, SIZES

        size = SIZES[BERT_BASE]
        count = sum(p.numel() for p in BertModel(BertConfig(**vars(size))).parameters())
    assert count == 109_482_240


def test_allennlps_rule_takes_the_steps_it_is_given() -> None:
    texts = sentences([5, 9])
    for steps, rule in ((10, None), (40, "left")):
        own = allennlp.IntegratedGradientAtSteps(predictor(TINY, "cpu"), steps)
        case = Case(TINY, texts, steps=steps, rule=rule or "left")
        expected = ours.prepare(case, predictor(TINY, "cpu")).run()
        if rule is None:
            job = allennlp.prepare(case, predictor(TINY, "cpu"))
            expected = job.run()
        scores = [own.saliency_interpret_from_json(text)["instance_1"] for text in texts]
        for one, other in zip(scores, expected, strict=True):
            assert one["grad_input_1"] == pytest.approx(other, abs=1e-5)


def test_steps_double_until_every_error_is_small_enough() -> None:
    texts = tuple({"sentence": str(number)} for number in range(1, 9))
    asked: list[tuple[int, int]] = []

    def errors(steps: int, some: Texts) -> list[float]:
        asked.append((steps, len(some)))
        return [int(text["sentence"]) / steps for text in some]

    assert fewest_steps(8, 1024, 0.1, texts, errors) == (128, 8 / 128)
    assert asked == [(8, 8), (16, 4), (32, 4), (64, 4), (128, 4), (128, 8)]
    with pytest.raises(NotReachedError, match=r"not reached.*12\.5% at 64"):
        fewest_steps(8, 64, 0.1, texts, errors)


def test_a_text_that_turns_out_worse_with_more_steps_is_not_missed() -> None:
    texts = tuple({"sentence": str(number)} for number in range(8))

    def errors(steps: int, some: Texts) -> list[float]:
        late = steps < 64
        return [0.5 if text == texts[0] and late and steps > 8 else 1 / steps for text in some]

    assert fewest_steps(8, 1024, 0.1, texts, errors) == (64, 1 / 64)


def test_who_does_not_reach_the_accuracy_is_in_the_table_without_a_time(
    stage: Callable[[str], LocalStage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object) -> tuple[int, float]:
        raise NotReachedError("not reached: 12% at 4096 steps")

    monkeypatch.setattr(allennlp, "steps_needed", never)
    row = next(row for row in rows(TINY) if row.name == "accuracy")
    case = Case(TINY, sentences([5, 7]), accuracy=0.01, rule="gauss-legendre")
    result = compare(replace(row, case=case, rounds=1), stage, warm_up=False)
    entries = {entry["name"]: entry for entry in result["entries"]}
    assert entries["AllenNLP"]["median_seconds"] is None
    assert "12% at 4096 steps" in table(result)
    assert result["goals"][0]["met"] is None
    for name in ("ours, tolerance", "ours, Gauss-Legendre", "captum"):
        assert entries[name]["notes"]["largest error"] < 0.01
        assert (entries[name]["largest_difference_of_a_score"] or 0) < 0.02


@pytest.mark.parametrize(
    ("goal", "ratio", "met"),
    [
        (Goal("a", "b", at_least=3), 3.0, True),
        (Goal("a", "b", at_least=3), 2.9, False),
        (Goal("a", "b", at_most=1.15), 1.15, True),
        (Goal("a", "b", at_most=1.15), 1.16, False),
    ],
)
def test_goals(goal: Goal, ratio: float, met: bool) -> None:
    assert goal.met(ratio) is met


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing"])
    assert "ig-many" in capsys.readouterr().err


@pytest.mark.slow
def test_a_process_of_its_own_gives_the_same_scores() -> None:
    case = Case(TINY, sentences([6, 9]))
    remote, local = ProcessStage("ours", "cpu"), LocalStage("ours", "cpu", threads=1)
    try:
        assert remote.prepare("a", case, False) == local.prepare("a", case, False)
        for one, other in zip(remote.run("a").scores, local.run("a").scores, strict=True):
            assert one == pytest.approx(other, abs=1e-6)
        with pytest.raises(RuntimeError, match=r"ours: FileNotFoundError.*make fixtures"):
            remote.prepare("b", replace(case, model="no-such-fixture"), False)
    finally:
        remote.close()
