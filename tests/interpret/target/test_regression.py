"""A model of AllenNLP that predicts a number: its loss says nothing at the prediction, a function
of its outputs does, and the warning says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from allennlp.data import Instance
from allennlp.data.fields import ArrayField
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InputXGradient, LeaveOneOut
from tests.zoo.functions import FunctionModel, predictor_of

VECTORS = {"a": [0.5, -1.2, 2.0], "b": [1.5, 0.3, -0.7], "c": [0.2, 0.9, 0.1]}
TEXT = {"sentence": "a b c"}
WEIGHTS = torch.tensor([0.7, -0.3, 1.1])


def _number(vectors: Tensor) -> Tensor:
    return torch.tanh(vectors).sum(1) @ WEIGHTS.to(vectors)


class _Regressor(FunctionModel):
    def forward(self, tokens: Any, number: Tensor | None = None) -> dict[str, Tensor]:  # type: ignore[override]
        value = self.function(self.text_field_embedder(tokens))
        loss = {} if number is None else {"loss": F.mse_loss(value, number.view(-1))}
        return {"value": value, **loss}


class _Predictor(Predictor):
    def _json_to_instance(self, json_dict: Any) -> Instance:
        return self._dataset_reader.text_to_instance(tokens=json_dict["sentence"])

    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        labelled = instance.duplicate()
        labelled.add_field("number", ArrayField(np.array([outputs["value"]], dtype=np.float32)))
        return [labelled]


def predictor() -> Predictor:
    plain = predictor_of(_number, VECTORS)
    plain._model.__class__ = _Regressor
    return _Predictor(plain._model, plain._dataset_reader)


def test_the_loss_says_nothing_and_the_warning_what_does() -> None:
    (found,) = InputXGradient(predictor()).interpret_json(TEXT)
    assert any("give a function of the model's outputs as target" in one for one in found.warnings)


def test_a_function_of_the_outputs() -> None:
    def number(outputs: Any) -> Tensor:
        return outputs["value"]

    vectors = torch.tensor([[VECTORS[word] for word in "abc"]], requires_grad=True)
    value = _number(vectors)
    (gradient,) = torch.autograd.grad(value.sum(), vectors)
    (found,) = InputXGradient(predictor(), target=number).interpret_json(TEXT)
    assert not found.warnings
    assert found.target["value"] == pytest.approx(value.item(), abs=1e-6)
    right = (vectors.detach() * gradient).sum(-1)[0].tolist()
    assert found.inputs[0].attributions == pytest.approx(right, abs=1e-5)
    (found,) = LeaveOneOut(predictor(), target=number).interpret_json(TEXT)
    for place, score in enumerate(found.inputs[0].attributions):
        without = vectors.detach().clone()
        without[0, place] = 0
        assert score == pytest.approx((value - _number(without)).item(), abs=1e-5)
