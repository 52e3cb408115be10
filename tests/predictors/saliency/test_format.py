"""What is written is what `docs/format.md` and its schema say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from allennlp_saliency.interpret.explanation import (
    AttentionMatrix,
    Explanation,
    InputAttribution,
    Interaction,
)
from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor
from allennlp_saliency.views.text import running_text

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "explanation.schema.json").read_text(encoding="utf-8"))
LINE = Draft202012Validator(SCHEMA)
EXPLANATION = Draft202012Validator({**SCHEMA, "$ref": "#/$defs/explanation", "oneOf": [{}]})
FIXTURES = ("sentiment", "sentiment-lstm", "entailment", "ner", "topics")


@cache
def inputs(fixture: str) -> list[dict[str, Any]]:
    path = ROOT / "fixtures" / fixture / "inputs.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][:6]


def predictor(fixture: str, interpreter: str | dict[str, Any]) -> Predictor:
    archive = ROOT / "fixtures" / fixture / "model.tar.gz"
    return SaliencyPredictor.from_path(archive, import_plugins=False, interpreter=interpreter)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_examples_of_the_documentation() -> None:
    text = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    examples = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    read = 0
    for example in map(json.loads, examples):
        LINE.validate(example)
        for name in set(example) - {"prediction", "error", "input"}:
            written = {"details": {}, **example[name]["explanation"]}
            assert Explanation.from_json(written).to_json() == written
            read += 1
    assert read


def test_the_schema_names_what_is_written() -> None:
    """Every key that an explanation may have, and no other: `additionalProperties` is false."""
    matrix = AttentionMatrix("encoder", ["layer", "query", "key"], ["a"], ["a"], np.ones((1, 1, 1)))
    filed = replace(matrix, values=None, file="a.npz", array="a")
    one = InputAttribution("tokens", "grad_input_1", ["a"], [(0, 1)], [0.5], 0.0, [0.1], "a")
    pair = Interaction(("tokens", 0), ("tokens", 1), 0.25)
    overlong = {"policy": "truncate", "limit": 1, "tokens": 2, "dropped": 1}
    whole = Explanation(
        {"type": "x"}, {"type": "y"}, [one], 0.0, {}, [], overlong, [matrix, filed], [pair]
    )
    definitions = SCHEMA["$defs"]
    for name, written in (
        ("explanation", whole.to_json()),
        ("attribution", one.to_json()),
        ("interaction", pair.to_json()),
        ("matrix", {**matrix.to_json(), **filed.to_json()}),
    ):
        assert set(definitions[name]["properties"]) == set(written)


@pytest.mark.parametrize("fixture", FIXTURES)
@pytest.mark.parametrize("interpreter", ["integrated-gradients", "gradient-norm"])
def test_lines_of_every_fixture(fixture: str, interpreter: str) -> None:
    saliency = predictor(fixture, interpreter)
    results = saliency.predict_batch_json(inputs(fixture))
    lines = [json.loads(saliency.dump_line(result)) for result in results]
    assert len(lines) == len(inputs(fixture))
    for given, line in zip(inputs(fixture), lines, strict=True):
        LINE.validate(line)
        assert "error" not in line
        assert list(line)[1:] == [f"instance_{number + 1}" for number in range(len(line) - 1)]
        for name in list(line)[1:]:
            instance = line[name]
            EXPLANATION.validate(instance["explanation"])
            explanation = Explanation.from_json(instance["explanation"])
            assert explanation.to_json() == instance["explanation"]
            for attribution in explanation.inputs:
                scores = instance[attribution.grad_input]
                assert len(scores) == len(attribution.tokens)
                assert min(scores) >= 0
                assert sum(scores) == pytest.approx(1, abs=1e-6)
                assert attribution.text in given.values()
                assert (
                    "".join(piece.text for piece in running_text(attribution) if piece.written)
                    == attribution.text
                )
    assert any(len(line) > 1 for line in lines)


def test_the_prediction_is_the_plain_predictors() -> None:
    saliency = predictor("sentiment-lstm", "integrated-gradients")
    assert isinstance(saliency, SaliencyPredictor)
    for given, line in zip(
        inputs("sentiment-lstm"),
        saliency.predict_batch_json(inputs("sentiment-lstm")),
        strict=True,
    ):
        plain = saliency.predictor.predict_json(given)
        assert line["prediction"]["label"] == plain["label"]
        assert line["prediction"]["probs"] == pytest.approx(plain["probs"], abs=1e-6)
        assert set(line["prediction"]) == set(plain)


def test_other_interpreters_and_errors() -> None:
    saliency = predictor("sentiment-lstm", "simple-gradient")
    given: Any = [inputs("sentiment-lstm")[0], {"text": "no sentence"}, 3]
    given.append(saliency.load_line("{broken"))
    lines = [json.loads(saliency.dump_line(r)) for r in saliency.predict_batch_json(given)]
    for line in lines:
        LINE.validate(line)
    assert ["error" in line for line in lines] == [False, True, True, True]


def test_an_unknown_label_is_refused_before_any_line() -> None:
    target = {"type": "logit", "label": "negatve"}
    with pytest.raises(ConfigurationError, match="did you mean 'negative'"):
        predictor("sentiment-lstm", {"type": "integrated-gradients", "target": target})


def good() -> dict[str, Any]:
    text = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    return json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])


class TestTheSchemaRefuses:
    @pytest.mark.parametrize(
        "key", ["format", "interpreter", "target", "convergence_delta", "inputs", "warnings"]
    )
    def test_an_explanation_without(self, key: str) -> None:
        line = good()
        del line["instance_1"]["explanation"][key]
        with pytest.raises(ValidationError):
            LINE.validate(line)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("format",), 1),
            (("inputs", 0, "text"), 1),
            (("inputs", 0, "attributions"), [0.1, None, 0.2]),
            (("inputs", 0, "attributions"), ["0.1"]),
            (("inputs", 0, "offsets"), [[0, 1, 2]]),
            (("inputs", 0, "offsets"), [[-1, 1]]),
            (("inputs", 0, "grad_input"), "grad_input_0"),
            (("inputs", 0, "score"), 1),
            (("interpreter",), {"steps": 3}),
            (("target", "value"), None),
            (("warnings",), "none"),
        ],
    )
    def test_an_explanation_with(self, path: tuple[Any, ...], value: Any) -> None:
        line = good()
        place = line["instance_1"]["explanation"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        with pytest.raises(ValidationError):
            LINE.validate(line)

    @pytest.mark.parametrize(
        "line",
        [
            {},
            {"prediction": None},
            {"prediction": {}, "instance_0": {}},
            {"prediction": {}, "more": 1},
            {"error": {"type": "E", "message": "m"}, "input": 1},
            {"error": {"type": "E", "message": "m", "line": 0}, "input": 1},
            {"error": {"type": "E", "message": "", "line": 1}, "input": 1},
            {"error": {"type": "E", "message": "m", "line": None}},
            [],
        ],
    )
    def test_a_line(self, line: Any) -> None:
        with pytest.raises(ValidationError):
            LINE.validate(line)
