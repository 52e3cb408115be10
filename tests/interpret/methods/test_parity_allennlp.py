"""With AllenNLP's settings, AllenNLP's numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from allennlp.interpret.saliency_interpreters import IntegratedGradient
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import IntegratedGradients
from tests.zoo import Zoo

FIXTURE = Path(__file__).parents[3] / "fixtures" / "sentiment-lstm"
# Ten points at 0, 0.1, …, 0.9 from the zero vector, for special tokens too; minus the loss.
SETTINGS: dict[str, Any] = {
    "rule": "left",
    "steps": 10,
    "baseline": {"type": "zero", "keep_special_tokens": False},
    "target": "log-likelihood",
    "normalization": "l1-abs",
}


def check(predictor: Predictor, inputs: list[dict[str, Any]]) -> None:
    theirs = IntegratedGradient(predictor)
    ours = IntegratedGradients(predictor, **SETTINGS)
    for given in inputs:
        (one,) = ours.saliency_interpret_from_json(given).values()
        expected = theirs.saliency_interpret_from_json(given)
        assert list(expected) == ["instance_1"]
        assert list(one) == list(expected["instance_1"])
        for key, scores in expected["instance_1"].items():
            assert len(one[key]) == len(scores)
            assert np.abs(np.subtract(one[key], scores)).max() <= 1e-5, given
            # Not the same for being all alike.
            assert len(scores) == 1 or np.ptp(scores) > 1e-3


def test_trained_lstm() -> None:
    if not (FIXTURE / "model.tar.gz").exists():
        pytest.fail("fixtures/sentiment-lstm/model.tar.gz is missing: `make fixtures` builds it")
    predictor = Predictor.from_path(FIXTURE / "model.tar.gz", import_plugins=False)
    lines = (FIXTURE / "inputs.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 10
    check(predictor, [json.loads(line) for line in lines])


@pytest.mark.parametrize("family", ["lstm", "boe", "bert", "roberta", "gpt2"])
def test_random_weights(zoo: Zoo, family: str) -> None:
    # Where AllenNLP finds the embedding layer and tokens are the positions.
    check(zoo.build(family), zoo.inputs(family))


def test_two_fields_in_allennlps_order(zoo: Zoo) -> None:
    check(zoo.build("pair"), zoo.inputs("pair"))
