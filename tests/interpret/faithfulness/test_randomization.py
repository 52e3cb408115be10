"""A method that shows what the model has learned shows something else when it has forgotten it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import Attribution, SaliencyInterpreter
from allennlp_saliency.interpret.faithfulness import parameter_randomization
from tests.zoo import Zoo

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"


def fixture(name: str, count: int) -> tuple[Any, list[dict[str, Any]]]:
    lines = (FIXTURES / name / "inputs.jsonl").read_text("utf-8").splitlines()[:count]
    predictor = Predictor.from_path(FIXTURES / name / "model.tar.gz", import_plugins=False)
    return predictor, [json.loads(line) for line in lines]


def test_scores_of_a_model_that_has_forgotten_are_others() -> None:
    predictor, inputs = fixture("topics", 16)
    found = parameter_randomization(predictor, inputs, "leave-one-out")
    assert len(found) == 16
    # A correlation of n scores that have nothing in common has a standard error of 1/√(n - 1).
    assert abs(np.mean(found)) < 0.3
    assert found == parameter_randomization(predictor, inputs, "leave-one-out")
    assert found != parameter_randomization(predictor, inputs, "leave-one-out", seed=1)


def test_a_method_that_shows_the_input_alone_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = SaliencyInterpreter._registry
    monkeypatch.setitem(registry, SaliencyInterpreter, dict(registry[SaliencyInterpreter]))

    @SaliencyInterpreter.register("position-of-the-token")
    class Place(SaliencyInterpreter):
        def attribute(self, space: Any) -> Attribution:
            places: Tensor = torch.arange(space.layout.tokens.shape[1]).double()
            return Attribution(places.expand(space.layout.tokens.shape))

    predictor, inputs = fixture("topics", 3)
    found = parameter_randomization(predictor, inputs, "position-of-the-token")
    assert found == pytest.approx([1.0] * 3)


def test_nothing_of_the_users_is_changed(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    before = {name: value.clone() for name, value in predictor._model.state_dict().items()}
    text = {"sentence": "the plot was not bad"}
    predicted = predictor.predict_json(text)
    model, addresses = predictor._model, [p.data_ptr() for p in predictor._model.parameters()]
    (found,) = parameter_randomization(predictor, [text], {"type": "gradient", "target": "logit"})
    assert -1 <= found <= 1
    assert predictor._model is model
    assert [p.data_ptr() for p in model.parameters()] == addresses
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert predictor.predict_json(text) == predicted


@pytest.mark.parametrize("name", ["ner", "translate", "question-answering"])
def test_each_explanation_has_its_partner_of_the_same_label(name: str) -> None:
    predictor, inputs = fixture(name, 2)
    found = parameter_randomization(predictor, inputs, "input-x-gradient")
    expected = SaliencyInterpreter.by_name("input-x-gradient")(predictor)
    assert len(found) == sum(map(len, expected.interpret_batch_json(inputs)))
    assert all(-1 <= one <= 1 for one in found if not math.isnan(one))


def test_a_name_that_there_is_not(zoo: Zoo) -> None:
    with pytest.raises(ConfigurationError, match="no-such"):
        parameter_randomization(zoo.predictor("bert"), [], "no-such")
