"""Methods are compared on a model whose values are known, and a comparison goes on where it was."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import (
    Interpretation,
    InterpretationError,
    LeaveOneOut,
    Random,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.faithfulness import (
    Comparison,
    Comprehensiveness,
    MaxSensitivity,
    Measuring,
    RationaleAuprc,
    compare,
)
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of, spread_vectors

MULTI_LABEL = Path(__file__).parents[4] / "fixtures" / "multi-label"
WORDS = ("up", "down", "left", "right", "far")
VECTORS = spread_vectors(WORDS, 3)
WEIGHTS = torch.tensor([0.7, -0.4, 0.2])
INPUTS = [
    {"sentence": text} for text in ("up down left", "far up", "right left left down up", "up")
]
METHODS = ["leave-one-out", "input-x-gradient"]
METRICS = ["comprehensiveness", "sufficiency", "tau-leave-one-out"]


def additive(x: Tensor) -> Tensor:
    """Logits that are sums over tokens; the second is 0."""
    total = (x @ WEIGHTS).sum(1)
    return torch.stack([total, torch.zeros_like(total)], dim=-1)


@pytest.fixture(scope="module")
def predictor() -> Any:
    return predictor_of(additive, VECTORS)


def probability(words: list[str], label: int) -> float:
    total = sum(float(torch.tensor(VECTORS[word]) @ WEIGHTS) for word in words)
    return 1 / (1 + math.exp(-total if label == 0 else total))


def test_comprehensiveness_is_that_of_the_model_on_zeroed_words(predictor: Any) -> None:
    text = INPUTS[0]
    words = text["sentence"].split()
    label = 0 if probability(words, 0) > 0.5 else 1
    method = LeaveOneOut(predictor, target="probability", baseline="zero")
    explanations = method.interpret_batch_json([text])
    measuring = Measuring(
        predictor, {"one": explanations}, {"c": Comprehensiveness()}, removal="zero"
    )
    ((measured,),) = measuring.measurements([text])
    losses = [
        probability(words, label) - probability(words[:i] + words[i + 1 :], label) for i in range(3)
    ]
    order = sorted(range(3), key=lambda i: -losses[i])
    curve = [
        probability([word for i, word in enumerate(words) if i not in order[:k]], label)
        for k in range(4)
    ]
    expected = np.mean([curve[0] - value for value in curve[1:]])
    assert measured["one"]["c"] == pytest.approx(expected, abs=1e-6)  # type: ignore[call-overload]


def test_the_known_reason_is_found_by_its_characters(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    text = {"sentence": "the plot was not bad"}
    explanations = LeaveOneOut(predictor, baseline="mask").interpret_batch_json([text])
    (one,) = explanations[0][0].inputs
    span = one.offsets[int(np.argmax(one.attributions))]
    assert span is not None
    measuring = Measuring(
        predictor,
        {"one": explanations},
        {"auprc": RationaleAuprc()},
        rationales=[{one.field: [span]}],
    )
    assert measuring.measurements([text]) == [[{"one": {"auprc": 1.0}}]]


def test_random_always_takes_part_and_loses(predictor: Any) -> None:
    found = compare(predictor, INPUTS, METHODS, METRICS, ["zero"])
    assert found.methods == [*METHODS, "random"]
    # On an additive model both methods find the order of single removals.
    for method in METHODS:
        assert found.interval(method, "tau-leave-one-out", "zero").mean == pytest.approx(1.0)
    best = found.interval("leave-one-out", "comprehensiveness", "zero").mean
    assert best > found.interval("random", "comprehensiveness", "zero").mean
    assert found.agreement("leave-one-out", "input-x-gradient").mean == pytest.approx(1.0)
    # One word has no order.
    assert found.interval("random", "tau-leave-one-out", "zero").count == 3
    assert found.errors == []


def test_the_same_in_another_order_of_inputs(predictor: Any) -> None:
    one = compare(predictor, INPUTS, METHODS, METRICS, ["zero"])
    other = compare(predictor, INPUTS[::-1], METHODS, METRICS, ["zero"])
    for metric in METRICS:
        first = one.interval("leave-one-out", metric, "zero")
        second = other.interval("leave-one-out", metric, "zero")
        assert first.mean == pytest.approx(second.mean)


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.55, 0.99, 1.0])
def test_a_comparison_goes_on_where_it_was(predictor: Any, tmp_path: Path, cut: float) -> None:
    whole = compare(predictor, INPUTS, METHODS, METRICS, ["zero", "mean"], output=tmp_path / "a")
    folder = tmp_path / "b"
    compare(predictor, INPUTS, METHODS, METRICS, ["zero", "mean"], output=folder)
    written = (folder / "measured.jsonl").read_bytes()
    (folder / "measured.jsonl").write_bytes(written[: int(cut * len(written))])
    again = compare(predictor, INPUTS, METHODS, METRICS, ["zero", "mean"], output=folder)
    for method in whole.methods:
        for metric in METRICS:
            for removal in whole.removals:
                assert again.interval(method, metric, removal) == whole.interval(
                    method, metric, removal
                )
    numbers = [json.loads(line)["input"] for line in (folder / "measured.jsonl").open()]
    assert sorted(numbers) == sorted([0, 0, 1, 1, 2, 2, 3, 3])


def test_a_finished_comparison_computes_nothing(
    predictor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compare(predictor, INPUTS, METHODS, METRICS, ["zero"], output=tmp_path)
    monkeypatch.setattr(SaliencyInterpreter, "interpret_each", None)
    again = compare(predictor, INPUTS, METHODS, METRICS, ["zero"], output=tmp_path)
    assert again.to_markdown() == first.to_markdown()


def test_other_settings_are_refused_by_name(predictor: Any, tmp_path: Path) -> None:
    compare(predictor, INPUTS, METHODS, METRICS, ["zero"], output=tmp_path)
    with pytest.raises(ConfigurationError, match="with other metrics, seed;"):
        compare(predictor, INPUTS, METHODS, METRICS[:1], ["zero"], output=tmp_path, seed=1)


def test_an_input_that_fails_is_a_record(predictor: Any) -> None:
    found = compare(predictor, [INPUTS[0], {"wrong": 1}], METHODS, METRICS, ["zero"])
    (error,) = found.errors
    assert error["input"] == 1
    assert found.interval("leave-one-out", "comprehensiveness", "zero").count == 1


def test_an_input_that_fails_under_one_removal_is_an_error_too() -> None:
    records = [
        {"input": 0, "removal": "zero", "measured": {}, "agreement": {}},
        {"input": 0, "removal": "delete", "error": "tokens are others"},
        {"input": 1, "removal": "zero", "error": "no sentence"},
        {"input": 1, "removal": "delete", "error": "no sentence"},
    ]
    found = Comparison(["random"], ["sufficiency"], ["zero", "delete"], records, {"random": 0.0})
    assert found.errors == records[1:3]


def test_curves_are_what_the_numbers_are_made_of(predictor: Any, tmp_path: Path) -> None:
    found = compare(predictor, INPUTS, METHODS, METRICS, ["zero"], output=tmp_path)
    curves = found.curves("comprehensiveness", "zero")
    assert set(curves) == {*METHODS, "random"}
    for name, own in curves.items():
        assert [len(one) for one in own] == [len(one["sentence"].split()) + 1 for one in INPUTS]
        mean = np.mean([one[0] - np.mean(one[1:]) for one in own])
        interval = found.interval(name, "comprehensiveness", "zero")
        assert interval.mean == pytest.approx(float(mean), abs=1e-5)
    assert found.curves("tau-leave-one-out", "zero") == {}
    again = compare(predictor, INPUTS, METHODS, METRICS, ["zero"], output=tmp_path)
    assert again.curves("comprehensiveness", "zero") == curves


def test_differences_are_of_the_same_explanations(predictor: Any) -> None:
    found = compare(predictor, INPUTS, METHODS, METRICS, ["zero"])
    one, other = (found.interval(name, "sufficiency", "zero") for name in (METHODS[0], "random"))
    between = found.difference(METHODS[0], "random", "sufficiency", "zero")
    assert between.mean == pytest.approx(one.mean - other.mean)
    itself = found.difference("random", "random", "sufficiency", "zero")
    assert (itself.mean, itself.low, itself.high) == (0.0, 0.0, 0.0)


def test_a_reason_for_each_explanation_of_an_input() -> None:
    line = json.loads((MULTI_LABEL / "inputs.jsonl").read_text("utf-8").splitlines()[1])
    several = json.loads((MULTI_LABEL / "inputs.jsonl").read_text("utf-8").splitlines()[2])
    given = [{"sentence": one["sentence"]} for one in (line, several)]
    reasons = [[{"sentence": own} for own in one["rationale"]] for one in (line, several)]
    predictor = Predictor.from_path(MULTI_LABEL / "model.tar.gz", import_plugins=False)
    settings: Any = (predictor, given, ["leave-one-out"], ["rationale-f1"], ["mask"])
    found = compare(*settings, rationales=reasons)
    values = [one["measured"]["leave-one-out"]["rationale-f1"] for one in found.records]
    assert len(values) == len(line["label"]) + len(several["label"])
    assert min(values) > 0.5
    # The reasons of other labels are not found.
    assert len(reasons[1]) > 1
    mixed = compare(*settings, rationales=[reasons[0], reasons[1][::-1]])
    found_too = [one["measured"]["leave-one-out"]["rationale-f1"] for one in mixed.records]
    assert found_too[0] == values[0]
    assert max(found_too[1:]) < min(values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interpreters": ["no-such"]}, "no-such"),
        ({"metrics": ["no-such"]}, "no-such"),
        ({"removals": ["no-such"]}, "no-such"),
        ({"rationales": [{}]}, "1 rationales for 4 inputs"),
    ],
)
def test_names_that_there_are_not(predictor: Any, settings: dict[str, Any], message: str) -> None:
    given = {"interpreters": METHODS, "metrics": METRICS, "removals": ["zero"], **settings}
    with pytest.raises(ConfigurationError, match=message):
        compare(predictor, INPUTS, **given)


def test_interpreters_may_be_objects(predictor: Any) -> None:
    found = compare(predictor, INPUTS, [Random(predictor, seed=3)], METRICS, ["zero"])
    assert found.methods == ["random"]


class Failing(LeaveOneOut):
    """Fails at texts that hold a word."""

    def interpret_each(self, inputs: Any, *rest: Any, **more: Any) -> Any:
        return [
            Interpretation(error=InterpretationError("far too far"))
            if "far" in given["sentence"]
            else own
            for given, own in zip(
                inputs, super().interpret_each(inputs, *rest, **more), strict=True
            )
        ]

    def config(self) -> dict[str, Any]:
        return {"type": "failing"}


class Hidden(LeaveOneOut):
    """Its explanations of texts that hold a word have no scores that could be measured."""

    def interpret_each(self, inputs: Any, *rest: Any, **more: Any) -> Any:
        return [
            replace(own, explanations=[replace(one, inputs=[]) for one in own.explanations])
            if "far" in given["sentence"]
            else own
            for given, own in zip(
                inputs, super().interpret_each(inputs, *rest, **more), strict=True
            )
        ]

    def config(self) -> dict[str, Any]:
        return {"type": "hidden"}


@pytest.mark.parametrize(("kind", "why"), [(Failing, "far too far"), (Hidden, "has no scores for")])
def test_what_fails_for_a_method_costs_that_methods_numbers(
    predictor: Any, tmp_path: Path, kind: Any, why: str
) -> None:
    name = kind.__name__.lower()
    metrics = [*METRICS, {"type": "max-sensitivity", "num_samples": 2}]
    settings: Any = (metrics, ["zero", "mean"])
    alone = compare(predictor, INPUTS, ["input-x-gradient"], *settings)
    both = [kind(predictor), "input-x-gradient"]
    found = compare(predictor, INPUTS, both, *settings, output=tmp_path)
    again = compare(predictor, INPUTS, both, *settings, output=tmp_path)
    assert again.to_markdown() == found.to_markdown()
    (error,) = again.errors
    assert error["input"] == 1
    assert error["error"].startswith(f"{name}: ")
    assert why in error["error"]
    for metric in alone.metrics:
        for removal in ("zero", "mean"):
            one = found.interval("input-x-gradient", metric, removal)
            assert one == alone.interval("input-x-gradient", metric, removal)
            assert found.interval(name, metric, removal).count <= one.count
    assert found.interval(name, "comprehensiveness", "zero").count == 3
    assert found.difference(name, "random", "sufficiency", "mean").count == 3


def test_a_metric_that_fails_for_a_method_costs_one_cell(
    predictor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = MaxSensitivity.of_method

    def failing(self: Any, method: Any, inputs: Any, seed: int = 0) -> Any:
        if isinstance(method, LeaveOneOut):
            return [InterpretationError("cannot be moved") for _ in inputs]
        return measured(self, method, inputs, seed)

    monkeypatch.setattr(MaxSensitivity, "of_method", failing)
    found = compare(predictor, INPUTS, METHODS, ["max-sensitivity", "sufficiency"], ["zero"])
    wrong = [(one["input"], one["error"]) for one in found.errors]
    assert wrong == [(n, "leave-one-out, max-sensitivity: cannot be moved") for n in range(4)]
    counts = {
        (method, metric): found.interval(method, metric, "zero").count
        for method in METHODS
        for metric in found.metrics
    }
    assert [own for own, count in counts.items() if not count] == [
        ("leave-one-out", "max-sensitivity")
    ]


def test_a_folder_of_an_earlier_version_goes_on(predictor: Any, tmp_path: Path) -> None:
    """It kept the seconds by method, and nothing of passes or of what is left out."""
    settings: Any = (predictor, INPUTS, METHODS, METRICS, ["zero"])
    whole = compare(*settings, output=tmp_path)
    (tmp_path / "left_out.json").unlink()
    path = tmp_path / "measured.jsonl"
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for line in lines:
        costs = line.pop("costs", None)
        if costs is not None:
            line["seconds"] = {name: own["seconds"] for name, own in costs.items()}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    again = compare(*settings, output=tmp_path)
    assert again.seconds == whole.seconds
    assert set(again.passes.values()) == {0}
    assert "| random | " in again.to_markdown()
    for metric in METRICS:
        of_both = (one.interval("random", metric, "zero") for one in (whole, again))
        assert len(set(of_both)) == 1
