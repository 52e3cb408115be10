"""Functions of a user's own as targets: what they may not be, return or do is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from tests.zoo.unusual_models import SHORT, TEXT, awkward

Function = Callable[..., Any]


class OfClass:
    def __call__(self, outputs: Any) -> Tensor:
        return outputs["logits"][:, 0]


async def waits(outputs: Any) -> Tensor:
    return outputs["logits"][:, 0]


def yields(outputs: Any) -> Any:
    yield outputs["logits"][:, 0]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (OfClass, r"OfClass is a class; give an object of it: OfClass\(…\)"),
        (waits, "waits is a coroutine"),
        (yields, "yields is a coroutine or a generator"),
        (lambda: 1, "is called with the model's outputs alone"),
        (lambda outputs, label: 1, "missing a required argument: 'label'"),
    ],
)
def test_what_cannot_be_called_is_refused_at_once(function: Function, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        InputXGradient(awkward(), target=function)


class Counts:
    """Returns more each time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, outputs: Any) -> Tensor:
        self.calls += 1
        return outputs["logits"][:, 0] + self.calls


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda outputs: 1.0, "returned 1.0 of type float; return a tensor of one number per row"),
        (lambda outputs: None, "returned None of type NoneType"),
        (lambda outputs: [outputs["logits"][0, 0]], "of type list"),
        (lambda outputs: outputs["logits"][:, 0].detach().numpy(), "of type ndarray"),
        (lambda outputs: outputs["logits"].sum(), r"shape \(\) for \d rows"),
        (lambda outputs: outputs["logits"][:, 0].to(torch.complex64), "complex numbers"),
        (lambda outputs: outputs["logits"].mul_(2)[:, 0], "changes the model's output 'logits'"),
        (lambda outputs: outputs["logits"][:, 0] * torch.rand(()), "it is random, or remembers"),
        (
            lambda outputs: outputs["logits"][:, 0] - outputs["logits"].mean(),
            "the same row beside another: it takes a mean",
        ),
        (lambda outputs: outputs["probs"][:, 0].softmax(0), "the same row beside another"),
        (Counts(), "it is random, or remembers earlier calls"),
        (
            lambda outputs: outputs["logits"][:, 0] / 0,
            "outputs are finite, so look into the target",
        ),
    ],
)
@pytest.mark.parametrize("inputs", [[TEXT], [TEXT, SHORT]], ids=["one", "batch"])
def test_what_is_no_number_per_row(function: Function, told: str, inputs: list[str]) -> None:
    interpreter = InputXGradient(awkward(), target=function)
    with pytest.raises(InterpretationError, match=told):
        interpreter.interpret_batch_json([{"tokens": one} for one in inputs])


def test_what_works() -> None:
    def of(outputs: Any, label: int) -> Tensor:
        return outputs["logits"][:, label].double()

    predictor = awkward()
    own: list[Tensor] = []

    def keeps(outputs: Any) -> Tensor:
        own.append(outputs["logits"].detach().clone())
        return outputs["logits"][:, 1]

    wanted = predictor.predict_json({"tokens": TEXT})["logits"][1]
    for function in (partial(of, label=1), keeps, lambda outputs, label=1: of(outputs, label)):
        (found,) = InputXGradient(predictor, target=function).interpret_json({"tokens": TEXT})
        assert found.target["value"] == pytest.approx(wanted, abs=1e-6)
    assert all(torch.equal(one[:1], own[0]) for one in own)
