"""Of a text that the user gives nothing is predicted: its tokens are explained as each is alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from torch import Tensor, nn

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.architectures.build import build
from tests.zoo.architectures.tables import chosen
from tests.zoo.task_models import KINDS, model, tokenizer

LONGER = "a great film, but the plot was not very good and the end was long and sad"
SHORTER = "a great film, but the plot was not very good and the end was long and"


def explained(predictor: Any, inputs: list[dict[str, Any]]) -> list[list[float]]:
    interpreter = InputXGradient(predictor, token_budget=4096)
    return [
        [one.target["value"] for one in each] for each in interpreter.interpret_batch_json(inputs)
    ]


@pytest.mark.parametrize(
    "name",
    # They look ahead: blocks that depend on the length, several tokens at once.
    ["big_bird:causal-lm", "prophetnet:causal-lm", "prophetnet:seq2seq", "gpt2:causal-lm"],
)
def test_models_that_look_ahead(name: str) -> None:
    (pair,) = chosen([name])
    built = build(pair)
    predictor: Any = TransformersPredictor.from_pretrained(
        built.model, built.tokenizer, task=pair.task
    )
    text, after = ("prompt", "continuation") if "lm" in pair.task else ("source", "target")
    inputs = [{text: one, after: " good film and plot"} for one in (LONGER, SHORTER)]
    for given in ([inputs[0]], inputs):
        found = explained(predictor, given)
        for one, values in zip(given, found, strict=True):
            # Scored token by token, each after what comes before it alone.
            assert values == pytest.approx(predictor.predict_json(one)["log_probs"], abs=1e-4)


class SeesPadding(nn.Module):
    """A layer that is given the mean over all positions, padding included."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own = own

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.own(x + x.mean(1, keepdim=True))
        return result


@pytest.mark.parametrize("target", ["</s>", " good film"])
def test_an_encoder_that_sees_padding(target: str) -> None:
    own = copy.deepcopy(model("bart", "seq2seq"))
    layer: Any = own.model.encoder.layers[0]
    layer.fc1 = SeesPadding(layer.fc1)
    predictor: Any = TransformersPredictor.from_pretrained(own, tokenizer(KINDS["bart"].tokenizer))
    inputs = [{"source": one, "target": target} for one in (LONGER, SHORTER)]
    for one, values in zip(inputs, explained(predictor, inputs), strict=True):
        assert values == pytest.approx(predictor.predict_json(one)["log_probs"], abs=1e-5)
