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
from allennlp_saliency.interpret.target.functions import (
    check_function,
    check_repeats,
    check_rows,
    function_name,
    untouched,
)
from allennlp_saliency.interpret.target.outputs import ModelOutputs
from allennlp_saliency.interpret.target.row_loss import RowLoss
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
        (lambda: 1, r"is called with the model's outputs alone .*, or write lambda outputs: …"),
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


def counting(shape: tuple[int, ...], start: float = 0.0) -> Function:
    """Returns 0, 1, 2 … and then 1, 2, 3 …"""
    calls: list[int] = []

    def function(outputs: Any) -> Tensor:
        calls.append(1)
        count = int(torch.tensor(shape).prod())
        return (torch.arange(count) + len(calls) - 1 + start).view(shape)

    return function


class TestRepeats:
    def test_both_results_are_named(self) -> None:
        told = r"target own returned \[0.0, 1.0, 2.0\] and then \[1.0, 2.0, 3.0\] for the same"
        with pytest.raises(InterpretationError, match=told):
            check_repeats(counting((2, 2)), {}, "own")

    def test_what_is_no_number_twice_is_the_same(self) -> None:
        """That it is none is told elsewhere."""
        found = check_repeats(lambda outputs: torch.tensor([torch.nan, 1.0]), {}, "own")
        assert found[1] == 1

    def test_rounding_is_no_difference(self) -> None:
        # One in ten million more.
        assert check_repeats(counting((1,), start=1e7), {}, "own").item() == 1e7

    def test_what_is_no_tensor_is_told_elsewhere(self) -> None:
        results = iter([1.0, 2.0])
        assert check_repeats(lambda outputs: next(results), {}, "own") == 1.0
        shapes = iter([torch.zeros(1), torch.zeros(2)])
        assert check_repeats(lambda outputs: next(shapes), {}, "own").shape == (1,)


class TestRows:
    """The number of a row, 3, beside another."""

    @pytest.mark.parametrize("found", [3.0, 3.029, 2.971, [3.0]])
    def test_the_same(self, found: Any) -> None:
        beside = torch.tensor([found, found])
        check_rows(lambda outputs: beside, torch.tensor([3.0, 1.0]), {}, "own")

    @pytest.mark.parametrize("found", [3.04, 2.96, -3.0, torch.nan])
    def test_another(self, found: float) -> None:
        told = "returned 3 for a row, and .* beside another: it takes a mean"
        with pytest.raises(InterpretationError, match=told):
            check_rows(lambda outputs: torch.tensor([found, 0.0]), torch.tensor([3.0]), {}, "own")

    def test_none_both_times(self) -> None:
        values = torch.tensor([torch.nan])
        check_rows(lambda outputs: values, values, {}, "own")

    def test_what_cannot_be_taken_apart_says_nothing(self) -> None:
        def fails(outputs: Any) -> Tensor:
            raise KeyError("loss")

        check_rows(fails, torch.tensor([3.0]), {}, "own")


def outputs_of(given: dict[str, Any]) -> ModelOutputs:
    model: Any = None  # It is named in errors alone.
    return ModelOutputs(given, torch.arange(2), None, RowLoss(), model)


class TestUntouched:
    def test_what_is_written_into_is_named(self) -> None:
        given = {"logits": torch.zeros(2), "parts": [torch.zeros(2), torch.zeros(2)]}
        with pytest.raises(InterpretationError, match="own changes the model's output 'parts'"):
            untouched(lambda outputs: outputs["parts"][1].add_(1), outputs_of(given), "own")
        assert untouched(
            lambda outputs: outputs["logits"] + 1, outputs_of(given), "own"
        ).tolist() == [1, 1]

    def test_tensors_that_count_no_versions(self) -> None:
        """Those of `torch.inference_mode`, beside others."""
        with torch.inference_mode():
            given = {"states": torch.ones(2)}
        others = {**given, "logits": torch.ones(2)}
        assert (
            untouched(lambda outputs: outputs["states"].sum(), outputs_of(others), "own").item()
            == 2
        )
        with pytest.raises(InterpretationError, match="output 'logits' in place"):
            untouched(lambda outputs: outputs["logits"].mul_(2), outputs_of(others), "own")


def test_names() -> None:
    assert function_name(yields) == "yields"
    assert function_name(partial(partial(yields))) == "yields"
    assert function_name(OfClass()) == "OfClass"


def test_what_does_not_say_what_it_takes_is_left_to_the_call() -> None:
    for function in (max, OfClass(), partial(yields_nothing, label=1)):
        check_function(function)


def yields_nothing(outputs: Any, label: int) -> None: ...
