"""What every predictor of allennlp-models' shows when its predictions are explained."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands import main
from allennlp.predictors import Predictor
from jsonschema import Draft202012Validator

from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor
from tests.interpret.properties.cases import METHODS
from tests.zoo.allennlp_models import ARCHIVES, Archives
from tests.zoo.allennlp_models.gold import with_gold

SCHEMA = Path(__file__).parents[3] / "docs" / "explanation.schema.json"
NAMES = sorted(ARCHIVES)
# One of each kind; the others are slow.
QUICK = ("gradient", "input-x-gradient", "deeplift", "lrp")
SETTINGS: dict[str, dict[str, Any]] = {
    "sequential-integrated-gradients": {"steps": 2},
    "smooth-gradients": {"num_samples": 2},
    "integrated-gradients": {"steps": 4, "tolerance": None},
}


class Explained:
    """Archives' predictors and lines, each made once."""

    def __init__(self, archives: Archives) -> None:
        self._archives = archives
        self._predictors: dict[str, Predictor] = {}
        self._lines: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def predictor(self, name: str) -> Predictor:
        if name not in self._predictors:
            self._predictors[name] = self._archives.predictor(name)
        return self._predictors[name]

    def saliency(self, name: str, interpreter: Any) -> SaliencyPredictor:
        inner = self.predictor(name)
        args = self._archives.predictor_args(name)
        return SaliencyPredictor(
            inner._model,
            inner._dataset_reader,
            interpreter,
            predictor=ARCHIVES[name].predictor,
            predictor_args=args,
        )

    def lines(self, name: str, interpreter: str) -> list[dict[str, Any]]:
        """What the predictor `saliency` gives for all inputs of an archive together."""
        if (name, interpreter) not in self._lines:
            predictor = self.saliency(name, {"type": interpreter})
            inputs = [dict(one) for one in ARCHIVES[name].inputs]
            self._lines[name, interpreter] = predictor.predict_batch_json(inputs)
        return self._lines[name, interpreter]


@pytest.fixture(scope="session")
def explained(archives: Archives) -> Explained:
    return Explained(archives)


def explanations(line: dict[str, Any]) -> list[Explanation]:
    assert "error" not in line, line["error"]
    found = [key for key in line if key.startswith("instance_")]
    assert found == [f"instance_{n}" for n in range(1, len(found) + 1)]
    return [Explanation.from_json(line[key]["explanation"]) for key in found]


def same(found: Any, expected: Any) -> bool:
    """Whether two predictions differ by rounding alone: a copy of a model may add up in another
    order. (Transformer QA counts the questions that it is asked, as `id`.)"""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            same(found[key], expected[key]) for key in expected if key != "id"
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float):
        return bool(found == pytest.approx(expected, rel=1e-5, abs=1e-6))
    return bool(found == expected)


def scores(explanation: Explanation) -> list[float]:
    return [score for one in explanation.inputs for score in one.attributions]


@pytest.mark.parametrize("name", NAMES)
def test_every_prediction_is_explained(explained: Explained, name: str) -> None:
    about = ARCHIVES[name]
    schema = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    lines = explained.lines(name, "input-x-gradient")
    assert len(lines) == len(about.inputs)
    for given, line in zip(about.inputs, lines, strict=True):
        schema.validate(line)
        found = explanations(line)
        assert len(found) == about.count(line["prediction"])
        for one in found:
            assert one.target["label"] or one.target["no_answer"]
            assert all(map(math.isfinite, scores(one)))
            assert any(scores(one))
            if about.tokens_labelled:
                field = one.target.get("field")
                (text,) = [i for i in one.inputs if field in (None, i.field)][:1]
                assert one.target["positions"]
                assert all(0 <= n < len(text.tokens) for n in one.target["positions"])
        assert same(line["prediction"], explained.predictor(name).predict_json(dict(given)))
    assert sum(about.count(line["prediction"]) for line in lines) > 1


@pytest.mark.parametrize("name", [name for name in NAMES if ARCHIVES[name].continuous])
def test_integrated_gradients_are_complete(explained: Explained, name: str) -> None:
    for line in explained.lines(name, "integrated-gradients"):
        for one in explanations(line):
            assert one.convergence_delta is not None
            due = one.target["value"] - one.target["baseline_value"]
            assert abs(one.convergence_delta) <= 0.01 * abs(due)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_each_alone(explained: Explained, name: str) -> None:
    together = explained.lines(name, "input-x-gradient")
    predictor = explained.saliency(name, {"type": "input-x-gradient"})
    for given, line in zip(ARCHIVES[name].inputs, together, strict=True):
        alone = predictor.predict_json(dict(given))
        assert same(alone["prediction"], line["prediction"])
        for one, other in zip(explanations(line), explanations(alone), strict=True):
            assert one.target["label"] == other.target["label"]
            assert one.target["value"] == pytest.approx(other.target["value"], rel=1e-5, abs=1e-6)
            largest = max(map(abs, scores(other)))
            assert scores(one) == pytest.approx(scores(other), rel=1e-5, abs=1e-5 * largest)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_of_the_reader_changes_nothing(
    explained: Explained, archives: Archives, name: str
) -> None:
    """What the model predicts is explained, also of an instance of a file with targets."""
    saliency = explained.saliency(name, {"type": "input-x-gradient"})
    reads = archives.predictor(name)
    lines = explained.lines(name, "input-x-gradient")
    for given, line in zip(ARCHIVES[name].inputs, lines, strict=True):
        plain = explanations(line)
        instances = with_gold(reads, lambda given=given: reads.predict_json(dict(given)))
        found = [saliency.predict_instance(one) for one in instances]
        if len(plain) == 1 and len(found) > 1:
            continue  # windows, one of which is explained
        labelled = [one for own in found for one in explanations(own)]
        assert len(labelled) == len(plain) or not instances
        for one, other in zip(labelled, plain, strict=False):
            assert one.target["label"] == other.target["label"]
            assert one.target["value"] == pytest.approx(other.target["value"], rel=1e-5, abs=1e-6)
            largest = max(map(abs, scores(other)))
            assert scores(one) == pytest.approx(scores(other), rel=1e-5, abs=1e-5 * largest)


@pytest.mark.parametrize(
    "name", [n for n in NAMES if ARCHIVES[n].expected or ARCHIVES[n].expected_total]
)
def test_the_explained_number_is_the_predicted_one(explained: Explained, name: str) -> None:
    about = ARCHIVES[name]
    for line in explained.lines(name, "input-x-gradient"):
        values = [one.target["value"] for one in explanations(line)]
        if about.expected is not None:
            assert values == pytest.approx(about.expected(line["prediction"]), rel=1e-4, abs=1e-5)
        if about.expected_total is not None and values:
            total = about.expected_total(line["prediction"])
            assert sum(values) == pytest.approx(total, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if ARCHIVES[name].values])
def test_the_explained_number_is_the_models_own(
    explained: Explained, archives: Archives, name: str
) -> None:
    values = ARCHIVES[name].values
    assert values is not None
    fresh = archives.predictor(name)
    lines = explained.lines(name, "input-x-gradient")
    for given, line in zip(ARCHIVES[name].inputs, lines, strict=True):
        found = [one.target["value"] for one in explanations(line)]
        assert found == pytest.approx(values(fresh, dict(given)), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if ARCHIVES[name].by_hand])
def test_gradients_equal_autograd_by_hand(
    explained: Explained, archives: Archives, name: str
) -> None:
    by_hand = ARCHIVES[name].by_hand
    assert by_hand is not None
    fresh = archives.predictor(name)
    lines = explained.lines(name, "input-x-gradient")
    for given, line in zip(ARCHIVES[name].inputs, lines, strict=True):
        found = [scores(one) for one in explanations(line)]
        for ours, theirs in zip(found, by_hand(fresh, dict(given)), strict=True):
            largest = max(map(abs, theirs))
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4 * largest)


def test_gradients_by_hand_need_the_parameters_of_a_fresh_model(archives: Archives) -> None:
    """Otherwise the test above would compare nothing with nothing."""
    model = archives.predictor(NAMES[0])._model
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not torch.is_inference_mode_enabled()


def methods() -> list[Any]:
    return [
        pytest.param(name, method, marks=[] if method in QUICK else [pytest.mark.slow])
        for name in NAMES
        for method in METHODS
    ]


@pytest.mark.parametrize(("name", "method"), methods())
def test_every_method_works_or_refuses(explained: Explained, name: str, method: str) -> None:
    interpreter = {"type": method, **SETTINGS.get(method, {})}
    shortest = sorted(ARCHIVES[name].inputs, key=lambda one: len(str(one)))[:2]
    for line in explained.saliency(name, interpreter).predict_batch_json(list(shortest)):
        if "error" in line:
            # Without an entry, it must be attention of what has none.
            why = ARCHIVES[name].refused.get(method, "has no transformer attention")
            assert re.search(why, line["error"]["message"])
            continue
        for one in explanations(line):
            assert all(map(math.isfinite, scores(one)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_by_command(
    archives: Archives, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = ARCHIVES[name]
    given, found = tmp_path / "inputs.jsonl", tmp_path / "found.jsonl"
    given.write_text("".join(f"{json.dumps(one)}\n" for one in about.inputs), encoding="utf-8")
    arguments = {"predictor_args": archives.predictor_args(name)}
    if about.predictor is not None:
        arguments["predictor"] = about.predictor
    command = ["allennlp", "predict", str(archives.path(name)), str(given)]
    command += ["--predictor", "saliency", "--silent", "--output-file", str(found)]
    monkeypatch.setattr(sys, "argv", [*command, "--predictor-args", json.dumps(arguments)])
    main()
    lines = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len(about.inputs)
    for line in lines:
        assert len(explanations(line)) == about.count(line["prediction"])
