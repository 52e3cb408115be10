"""How many files and functions a reader passes from `interpret_json` to the first gradient."""

from __future__ import annotations

import json

import pytest
from allennlp.common import Params
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import SaliencyInterpreter

from .call_path import called
from .rooms import ROOT


@pytest.mark.parametrize(
    ("name", "most_files", "most_functions"),
    [("input-x-gradient", 36, 142), ("integrated-gradients", 39, 179)],
)
def test_the_way_to_the_first_gradient(
    name: str, most_files: int, most_functions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the sentiment fixture, the second call: the first imports and compares more."""
    folder = ROOT / "fixtures" / "sentiment"
    predictor = Predictor.from_path(str(folder / "model.tar.gz"))
    interpreter = SaliencyInterpreter.from_params(Params({"type": name}), predictor=predictor)
    inputs = json.loads((folder / "inputs.jsonl").read_text(encoding="utf-8").splitlines()[0])
    interpreter.interpret_json(inputs)
    found = called(interpreter, inputs, monkeypatch)
    files = dict.fromkeys(file for file, _ in found)
    assert "interpret/space/embedding_space.py" in files, "nothing was seen"
    assert len(files) <= most_files, "\n".join(files)
    assert len(found) <= most_functions, "\n".join(": ".join(one) for one in found)
