"""A model that returns another number when it is explained than when it predicted is refused."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from tests.zoo.allennlp_models import ARCHIVES, Archives

LAYERS = {
    "bimpm": "classifier_feedforward",
    "choices-piqa": "_linear_layer",
    "constituents": "tag_projection_layer",
    "coreference": "_antecedent_scorer",
    "dependencies": "arc_attention",
    "esim": "_output_logit",
    "open-information": "tag_projection_layer",
    "srl-bert": "tag_projection_layer",
    "srl-lstm": "tag_projection_layer",
}


class Growing:
    """A layer's output that grows from call to call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        self.calls += 1
        return output * (1 + 0.2 * self.calls)


@pytest.mark.parametrize("name", LAYERS)
def test_another_number_is_refused(archives: Archives, name: str) -> None:
    predictor = archives.predictor(name)
    # As long as it stays the same there are explanations.
    given = dict(ARCHIVES[name].inputs[0])
    assert InputXGradient(predictor).interpret_json(given)
    getattr(predictor._model, LAYERS[name]).register_forward_hook(Growing())
    with pytest.raises(InterpretationError, match="would be of another number"):
        InputXGradient(predictor).interpret_json(given)
