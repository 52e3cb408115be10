"""Models as people have them: in few digits, checkpointed, tied, with functions of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    DeepLift,
    InputXGradient,
    LayerwiseRelevancePropagation,
)
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

TEXT = {"sentence": "a great film, but the plot was not very good"}


def explain(own: nn.Module, method: Any = InputXGradient, name: str = "bert") -> Any:
    made = TransformersPredictor.from_pretrained(own, tokenizer(KINDS[name].tokenizer))
    return method(made, target="logit").interpret_json(TEXT)[0]


def fresh(name: str = "bert") -> nn.Module:
    return copy.deepcopy(model(name, "text-classification"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["sentiment", "sentiment-lstm"])
def test_few_digits_on_a_cpu(name: str, dtype: torch.dtype) -> None:
    """numpy, which AllenNLP's predictions are made of, has no bfloat16."""

    def interpreted(change: Callable[[nn.Module], Any]) -> Any:
        made = Predictor.from_path(f"fixtures/{name}/model.tar.gz")
        change(made._model)
        (one,) = InputXGradient(made).interpret_each([TEXT], predict=True, progress=False)
        assert one.error is None
        return one

    plain, half = interpreted(lambda _: None), interpreted(lambda own: own.to(dtype))
    assert half.prediction["probs"] == pytest.approx(plain.prediction["probs"], abs=0.02)
    assert any(half.explanations[0].inputs[0].attributions)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_gradient_checkpointing(reentrant: bool, training: bool) -> None:
    own: Any = fresh()
    own.gradient_checkpointing_enable({"use_reentrant": reentrant})
    # What peft does for layers that are frozen: a hook that lets embeddings require a gradient.
    own.enable_input_require_grads()
    made = TransformersPredictor.from_pretrained(own, tokenizer(KINDS["bert"].tokenizer))
    own.train(training)
    explanation = InputXGradient(made, target="logit").interpret_json(TEXT)[0]
    expected = explain(fresh()).inputs[0].attributions
    assert explanation.inputs[0].attributions == pytest.approx(expected, abs=1e-6)
    assert own.training is training


def test_blocks_that_share_weights() -> None:
    own: Any = fresh()
    own.bert.encoder.layer[1] = own.bert.encoder.layer[0]
    apart: Any = fresh()
    apart.bert.encoder.layer[1] = copy.deepcopy(apart.bert.encoder.layer[0])
    expected = explain(apart).inputs[0].attributions
    assert explain(own).inputs[0].attributions == pytest.approx(expected, abs=1e-6)


class StraightThrough(torch.autograd.Function):
    """Rounds forwards, and is the identity backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round(decimals=4)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class Rounded(nn.Module):
    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own = own

    def forward(self, x: Tensor) -> Tensor:
        return self.own(StraightThrough.apply(x))


@pytest.mark.parametrize("method", [LayerwiseRelevancePropagation, DeepLift])
def test_a_function_with_a_backward_pass_of_its_own(method: Any) -> None:
    own: Any = fresh()
    own.bert.pooler.dense = Rounded(own.bert.pooler.dense)
    explanation = explain(own, method)
    plain = explain(fresh(), method).inputs[0].attributions
    # Its operations have rules, one by one, so nothing of it is lost.
    assert "without_rule" not in explanation.details
    assert explanation.convergence_delta == pytest.approx(0, abs=1e-5)
    assert explanation.inputs[0].attributions == pytest.approx(
        plain, abs=0.01 * max(map(abs, plain))
    )
