"""A model whose forward pass is random is noticed by every method, and said in its explanations."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch.nn.functional as F
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.interpret.model.model_checks import RANDOM_WARNING
from tests.zoo import Zoo

METHODS = {
    "gradient": {},
    "lrp": {"target": "logit"},
    "attention": {},
    "attention-x-gradient": {},
    "deeplift": {},
    "integrated-gradients": {"steps": 3},
    "smooth-gradients": {"num_samples": 2},
}
TEXTS = ("the plot was not bad", "a great film")


class AlwaysOn(nn.Module):
    """Dropout that evaluation mode does not switch off."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, training=True)


@pytest.fixture(params=[True, False], ids=["random", "plain"])
def model(request: pytest.FixtureRequest, zoo: Zoo) -> tuple[Predictor, bool]:
    predictor = deepcopy(zoo.predictor("bert"))
    if request.param:
        layer = predictor._model._classification_layer
        predictor._model._classification_layer = nn.Sequential(AlwaysOn(), layer)
    return predictor, request.param


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2])
def test_it_is_said(model: tuple[Predictor, bool], method: str, count: int) -> None:
    predictor, random = model
    interpreter = SaliencyInterpreter.by_name(method)(predictor, **METHODS[method])
    results = interpreter.interpret_batch_json([{"sentence": text} for text in TEXTS[:count]])
    for (explanation,) in results:
        assert (RANDOM_WARNING in explanation.warnings) is random
