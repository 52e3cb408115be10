"""What the private twin computes otherwise than the user's model, and what it must not."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor
from torch import Tensor, nn
from transformers.activations import ACT2FN, NewGELUActivation

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.interpret.interpreter import run
from allennlp_saliency.interpret.model.twin import Twin
from tests.zoo.task_models import predictor


def activation(kind: str) -> tuple[nn.Module, nn.Module]:
    """A user's activation, and the twin's."""
    user = predictor("gpt2", "causal-lm")
    block = user._model.transformer.transformer.h[0].mlp
    own, block.act = block.act, ACT2FN[kind]
    try:
        twin = Twin(user)
        return block.act, twin.counterpart(block.act)
    finally:
        block.act = own


def operations(module: nn.Module, x: Tensor) -> int:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        module(x)
    return sum(one.name.startswith("aten::") for one in seen.events())


@pytest.mark.parametrize("kind", ["gelu_new", "gelu_fast"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gelu_by_formula_is_one_operation(kind: str, dtype: torch.dtype) -> None:
    user, twin = activation(kind)
    x = torch.linspace(-6, 6, 101, dtype=dtype)
    within = 1e-6 if dtype == torch.float32 else 1e-7
    assert torch.allclose(user(x), twin(x), rtol=within, atol=within)
    assert operations(twin, x) == 1
    assert operations(user, x) > 5


def test_with_fewer_digits_the_formula_stays() -> None:
    user, twin = activation("gelu_new")
    x = torch.linspace(-6, 6, 101, dtype=torch.bfloat16)
    assert torch.equal(user(x), twin(x))


def test_other_activations_stay() -> None:
    user, twin = activation("silu")
    assert "forward" not in vars(twin)
    assert type(user) is type(twin)


def test_what_stands_in_for_an_activation_stays() -> None:
    user = predictor("gpt2", "causal-lm")
    act = user._model.transformer.transformer.h[0].mlp.act
    try:
        act.forward = torch.zeros_like
        assert not Twin(user).counterpart(act)(torch.ones(3)).any()
    finally:
        del act.forward


class Louder(NewGELUActivation):
    def forward(self, input: Tensor) -> Tensor:
        return 1000 * super().forward(input)


def test_an_activation_of_ones_own_stays() -> None:
    user = predictor("gpt2", "causal-lm")
    block = user._model.transformer.transformer.h[0].mlp
    own, block.act = block.act, Louder()
    try:
        assert float(Twin(user).counterpart(block.act)(torch.ones(1))) > 800
    finally:
        block.act = own


def test_a_twin_is_let_go_without_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has thousands of objects, and the collector looks through all that there are."""
    twins: list[weakref.ref[nn.Module]] = []

    class Noted(Twin):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            twins.append(weakref.ref(self.model))

    monkeypatch.setattr(run, "Twin", Noted)
    predictor = Predictor.from_path("fixtures/sentiment/model.tar.gz")
    gc.disable()
    try:
        SaliencyInterpreter.by_name("integrated-gradients")(predictor).interpret_json(
            {"sentence": "a good film"}
        )
        assert [twin() for twin in twins] == [None]
    finally:
        gc.enable()
