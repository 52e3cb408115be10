"""What is explained is compared with what was predicted, up to rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.interpret.target.prediction_check import (
    Mismatch,
    alike,
    check_predicted,
    expected_outputs,
)
from tests.zoo.task_models import predictor

LOGITS = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.25, -4.0]])


def check(expected: list[Any], dtype: torch.dtype = torch.float32, **outputs: Tensor) -> None:
    check_predicted(outputs or {"logits": LOGITS}, expected, dtype)


def test_the_same() -> None:
    check([{"logits": [1.0, -2.0, 3.0]}, {"logits": LOGITS[1]}])


def test_the_row_and_the_number_that_differ_most() -> None:
    with pytest.raises(Mismatch) as found:
        check([{"logits": LOGITS[0]}, {"logits": [0.5, 0.3, -3.0]}])
    assert (found.value.row, found.value.name) == (1, "logits")
    assert (found.value.predicted, found.value.found) == (-3.0, -4.0)
    message = str(found.value.error("Model"))
    assert "Model predicted -3 (output 'logits') and returned -4" in message


@pytest.mark.parametrize(
    ("dtype", "rounding"),
    [(torch.float32, 1e-4), (torch.float16, 1e-2), (torch.bfloat16, 5e-2)],
)
def test_rounding_is_no_difference(dtype: torch.dtype, rounding: float) -> None:
    """Of the row's largest number: the small ones of a row round as the large ones do."""
    check([{"logits": LOGITS[0] + 3 * rounding}], dtype)
    with pytest.raises(Mismatch):
        check([{"logits": LOGITS[0] + 30 * rounding}], dtype)


def test_padding_behind_a_prediction_is_left_out() -> None:
    """Span logits of a row that is shorter than its batch."""
    check([{"span_start_logits": [1.0, -2.0]}], span_start_logits=LOGITS)
    with pytest.raises(Mismatch):
        check([{"span_start_logits": [1.0, 2.0]}], span_start_logits=LOGITS)


@pytest.mark.parametrize(
    "expected",
    [None, {}, {"others": [1.0]}, {"logits": [[1.0]]}, {"logits": [9.0] * 4}, {"logits": []}],
)
def test_what_cannot_be_compared_passes(expected: Any) -> None:
    check([expected])


def test_masked_logits_are_as_low_as_can_be() -> None:
    lowest = torch.finfo(torch.float32).min
    check([{"logits": [1.0, -1e32, 3.0]}], logits=torch.tensor([[1.0, lowest, 3.0]]))
    with pytest.raises(Mismatch):
        check([{"logits": [1.0, 2.0, 3.0]}], logits=torch.tensor([[1.0, lowest, 3.0]]))


def test_not_a_number_differs_from_numbers_only() -> None:
    nan = float("nan")
    check([{"logits": [nan, 1.0]}], logits=torch.tensor([[nan, 1.0]]))
    with pytest.raises(Mismatch):
        check([{"logits": [0.0, 1.0]}], logits=torch.tensor([[nan, 1.0]]))


def test_alike() -> None:
    assert alike(LOGITS, LOGITS + 1e-4)
    assert not alike(LOGITS, LOGITS + 1e-2)


def test_known_outputs_of_any_model() -> None:
    prediction = {"logits": [1.0], "probs": [1.0], "label": "good", "tokens": ["a"]}
    instance: Any = None
    assert expected_outputs(object(), instance, prediction) == {"logits": [1.0], "probs": [1.0]}


def test_a_model_that_looks_at_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever makes the explained number another than the predicted one is an error."""
    own = predictor("bert", "text-classification")
    forward = type(own._model).forward

    class Peeks(type(own._model)):  # type: ignore[misc]
        def forward(self, *args: Any, **options: Any) -> Any:
            outputs = forward(self, *args, **options)
            if options.get("label") is not None:
                outputs["logits"] = outputs["logits"] + 1.0
            return outputs

    monkeypatch.setattr(own._model, "__class__", Peeks)
    with pytest.raises(InterpretationError, match=r"predicted .* would be of another number"):
        InputXGradient(own).interpret_json({"sentence": "a great film"})


def differ(name: str, predicted: list[float], found: list[float]) -> bool:
    one, other = torch.tensor(predicted), torch.tensor([found])
    if len(predicted) == 1:
        one, other = one[0], other[0]
    try:
        check_predicted({name: other}, [{name: one}], torch.float32)
    except Mismatch:
        return True
    return False


def test_a_token_that_is_nearly_certain() -> None:
    """A logit of 20 has a last digit of 2e-6, and -log p may be that small."""
    assert not differ("log_probs", [-0.000149001], [-0.000148881])
    assert not differ("log_probs", [-1.2e-7], [0.0])


def test_a_number_that_is_nearly_zero() -> None:
    assert not differ("logits", [1.2e-7], [-1.2e-7])
    assert differ("logits", [1.2e-4], [-1.2e-4])


@pytest.mark.parametrize("name", ["log_probs", "logits", "probs"])
def test_another_number(name: str) -> None:
    assert differ(name, [-4.0], [-4.01])
    assert not differ(name, [-4.0], [-4.0001])
    assert differ(name, [-4.0, 1.0], [-4.0, 1.01])


def test_where_most_differ_is_said() -> None:
    with pytest.raises(Mismatch) as raised:
        check_predicted(
            {"logits": torch.tensor([[1.0, 2.0], [1.0, 3.0]])},
            [None, {"logits": torch.tensor([1.0, 2.0])}],
            torch.float32,
        )
    assert (raised.value.row, raised.value.predicted, raised.value.found) == (1, 2.0, 3.0)


def test_nothing_finite_is_not_the_same_as_a_number() -> None:
    assert differ("logits", [1.0, 2.0], [1.0, float("nan")])
    assert differ("logits", [1.0, 2.0], [1.0, float("inf")])
    assert not differ("logits", [1.0, float("nan")], [1.0, float("nan")])
