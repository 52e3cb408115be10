"""The benchmark on a model that takes no time: what comes out is whole, and peers agree.

Nothing here looks at a clock."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import IntegratedGradients
from allennlp_saliency.interpret.methods.path.discretized_integrated_gradients import (
    STRATEGIES,
    Neighbours,
    monotonic_paths,
)
from allennlp_saliency.interpret.space.baselines import ZeroBaseline
from allennlp_saliency.interpret.space.embedding_space import EmbeddingSpace
from allennlp_saliency.interpret.space.layout import EmbeddingCall
from benchmarks.__main__ import main
from benchmarks.case import Case, Job, NotReachedError, fewest_steps, normalized
from benchmarks.compare import compare
from benchmarks.contestants import allennlp, ours
from benchmarks.contestants.generation import captum as captum_of_generation
from benchmarks.contestants.generation import inseq_classes, plain_loop
from benchmarks.machine import machine, versions
from benchmarks.plain.language_model import LanguageModel, best_rows
from benchmarks.rows import rows
from benchmarks.rows.row import Goal, Row
from benchmarks.table import goals, markdown, table, write
from benchmarks.timing import LocalStage
from benchmarks.workloads import (
    TINY,
    TINY_LANGUAGE_MODEL,
    Texts,
    continued,
    fewer,
    predictor,
    sentences,
)

# `make benchmark` installs it, `make install` does not.
PEERS = {
    "generation.interpreto": "interpreto",
    "coalitions.interpreto": "interpreto",
    "coalitions.shap_values": "shap",
    "coalitions.context_cite": "context_cite",
}
MISSING = {name for name, package in PEERS.items() if find_spec(package) is None}


def with_who_is_there(row: Row) -> Row:
    entries = tuple(entry for entry in row.entries if entry.contestant not in MISSING)
    labels = {entry.label for entry in entries}
    return replace(
        row, entries=entries, goals=tuple(goal for goal in row.goals if goal.slower in labels)
    )


# Those on the start of the command have a test of their own.
STEPS_AT_EQUAL = [
    with_who_is_there(row)
    for row in rows(TINY)
    if row.name != "accuracy" and not row.name.startswith("start-")
]
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
    return replace(row, case=replace(row.case, texts=fewer(row.case.texts)[:3]), rounds=2)


class Measured(dict[str, dict]):
    """The results of rows by name, each measured when it is first asked for."""

    def __init__(self, stage: Callable[[str], LocalStage]) -> None:
        super().__init__()
        self._stage = stage

    def __missing__(self, name: str) -> dict:
        (row,) = (one for one in STEPS_AT_EQUAL if one.name == name)
        self[name] = compare(small(row), self._stage, warm_up=False)
        return self[name]


@pytest.fixture(scope="module")
def measured(stage: Callable[[str], LocalStage]) -> Measured:
    return Measured(stage)


# Hundreds of coalitions a text, by contestants that run one at a time; neighbours of all words.
MANY = frozenset(
    ("lime-many", "kernel-shap-many", "context-cite", "leave-one-out-context", "discretized")
)
each_row = pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=[pytest.mark.slow] if row.name in MANY else [])
        for row in STEPS_AT_EQUAL
    ],
    ids=lambda row: row.name,
)


@each_row
def test_a_row_says_everything_about_everybody(row: Row, measured: Measured) -> None:
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


@each_row
def test_everybody_computes_the_same_scores(row: Row, measured: Measured) -> None:
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
    assert comparable["ig-many"] == everybody
    assert comparable["ig-one"] == everybody | {"bound with label"}
    of_generation = {"ours", "inseq", "plain loop", "lower bound"}
    assert comparable["generation-ig"] == of_generation
    assert comparable["generation-gradient"] == of_generation | {"captum"}
    assert comparable["sequential"] == {"ours", "ours, exact", "inseq", "inseq's class"}


class PromptAsZero(ZeroBaseline):
    """Nothing in the place of the prompt's words, and those after it as they are."""

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        generated = (call.fields == call.names.index("generated")).unsqueeze(-1)
        return torch.where(generated, part, super().vectors(space, call, part))


def test_captum_explains_generated_text_as_ours_does_from_its_baseline() -> None:
    case = Case(TINY_LANGUAGE_MODEL, continued(7, 3), steps=6, rule="gauss-legendre")
    scores = captum_of_generation.prepare(case, predictor(case.model, "cpu")).run()
    own = IntegratedGradients(
        predictor(case.model, "cpu"),
        steps=case.steps,
        rule=case.rule,
        baseline=PromptAsZero(keep_special_tokens=False),
    )
    (explanations,) = own.interpret_batch_json(case.texts)
    assert len(explanations) == len(scores) == 3
    for explanation, other in zip(explanations, scores, strict=True):
        (prompt,) = (one for one in explanation.inputs if one.field == "prompt")
        assert normalized(prompt.attributions) == pytest.approx(other, abs=1e-5)


def test_interpreto_explains_the_generated_text_that_it_is_given() -> None:
    pytest.importorskip("interpreto")
    from benchmarks.contestants.generation import interpreto

    case = Case(TINY_LANGUAGE_MODEL, continued(7, 3), method="input-x-gradient", steps=1)
    scores = interpreto.prepare(case, predictor(case.model, "cpu")).run()
    parts = LanguageModel.of(predictor(case.model, "cpu"))
    (text,) = parts.continued(case)
    expected = []
    for k, token in enumerate(text.after):
        x = parts.word_embeddings(torch.cat([text.before, text.after[:k]])).requires_grad_()
        logit = parts.model(inputs_embeds=x[None]).logits[0, -1, token]
        (g,) = torch.autograd.grad(logit, x)
        expected.append(normalized((x * g).abs().sum(-1)[: len(text.before)].tolist()))
    assert torch.allclose(torch.tensor(scores), torch.tensor(expected), atol=1e-6)


def test_inseqs_paths_through_words_are_ours() -> None:
    parts = LanguageModel.of(predictor(TINY_LANGUAGE_MODEL, "cpu"))
    weight = parts.word_embeddings.weight
    words, steps = torch.tensor([3, 14, 15, 92]), 8
    builder, _ = inseq_classes._path_builder(parts)
    theirs = builder.scale_inputs(words[None], torch.zeros_like(words)[None], steps + 1, "greedy")
    own = monotonic_paths(
        weight[words], weight[:1].expand(4, -1), Neighbours(weight, 50), steps, STRATEGIES["greedy"]
    )
    assert torch.allclose(theirs, own, atol=1e-6)


def test_a_plain_loop_that_leaves_tokens_out_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(TINY_LANGUAGE_MODEL, continued(5, 6), steps=4, rule="gauss-legendre")
    whole = plain_loop.prepare(case, predictor(case.model, "cpu"))
    assert whole.share == 1
    assert whole.notes == {}
    monkeypatch.setattr(plain_loop, "_MOST_ROWS", 12)
    some = plain_loop.prepare(case, predictor(case.model, "cpu"))
    assert some.share == 0.5
    assert some.notes == {"measured on": "3 of 6 tokens"}
    assert some.run() == whole.run()[1::2]


def test_the_rows_in_a_batch_are_looked_for_on_the_texts_to_warm_up_with() -> None:
    warm_up = continued(3, 1)
    case = Case(TINY_LANGUAGE_MODEL, continued(5, 6), steps=16, warm_up=warm_up)
    asked: list[tuple[Texts, int]] = []
    assert best_rows(case, (4, 32), lambda few, rows: asked.append((few.texts, rows))) in {4, 16}
    assert asked == [(warm_up, 16), (warm_up, 4), (warm_up, 16)]
    asked.clear()
    assert best_rows(replace(case, texts=warm_up), (4, 8), lambda *one: asked.append(one)) == 16
    assert asked == []


def test_a_stage_warms_up_with_what_the_case_says() -> None:
    prepared: list[Texts] = []

    def prepare(case: Case, predictor: object) -> Job:
        prepared.append(case.texts)
        return Job(list)

    stage = LocalStage("ours", "cpu", threads=1)
    stage._module = SimpleNamespace(prepare=prepare)
    texts, warm_up = sentences([9, 4, 7]), sentences([3])
    stage.prepare("a", Case(TINY, texts), warm_up=True)
    stage.prepare("b", Case(TINY, texts, warm_up=warm_up), warm_up=True)
    assert prepared == [texts, (texts[1], texts[0]), texts, warm_up]


def test_results_are_written_and_read_back(measured: Measured, tmp_path) -> None:
    results = {
        "format": 1,
        "date": "2026-01-01",
        "quick": True,
        "machine": machine("cpu"),
        "versions": versions(),
        "rows": [measured[name] for name in ("ig-one", "span-gradient")],
    }
    written = write(results, tmp_path / "new")
    assert [path.name for path in written] == ["RESULTS.json", "RESULTS.md"]
    assert json.loads(written[0].read_text(encoding="utf-8")) == results
    text = written[1].read_text(encoding="utf-8")
    assert text == markdown(results)
    assert all(row["title"] in text and table(row) in text for row in results["rows"])
    assert goals(results) in text
    assert platform.node() not in text + written[0].read_text(encoding="utf-8")


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
