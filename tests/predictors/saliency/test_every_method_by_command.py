"""`allennlp predict ARCHIVE INPUT --predictor saliency`, with every method on every fixture."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from allennlp.commands import main
from jsonschema import Draft202012Validator

from tests.interpret.test_every_fixture import CASES, FOLDER, SETTINGS, inputs

SCHEMA = Path(__file__).parents[3] / "docs" / "explanation.schema.json"


@pytest.mark.slow
@pytest.mark.parametrize(("fixture", "method"), CASES)
def test_every_line_is_explained(
    fixture: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, found = tmp_path / "inputs.jsonl", tmp_path / "found.jsonl"
    some = inputs(fixture, 3)
    given.write_text("".join(f"{json.dumps(one)}\n" for one in some), encoding="utf-8")
    interpreter = {"type": method, **SETTINGS.get(method, {})}
    command = ["allennlp", "predict", str(FOLDER / fixture / "model.tar.gz"), str(given)]
    command += ["--predictor", "saliency", "--batch-size", "3", "--silent"]
    command += ["--predictor-args", json.dumps({"interpreter": interpreter})]
    monkeypatch.setattr(sys, "argv", [*command, "--output-file", str(found)])
    main()
    schema = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    lines = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len(some)
    assert any("instance_1" in line for line in lines)
    for line in lines:
        assert "error" not in line
        schema.validate(line)
        for key, instance in line.items():
            if key.startswith("instance_"):
                assert instance["explanation"]["interpreter"]["type"] == method
