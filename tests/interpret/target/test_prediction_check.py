"""What is explained is compared with what was predicted, up to rounding."""

from __future__ import annotations

import pytest
import torch

from allennlp_saliency.interpret.target.prediction_check import Mismatch, check_predicted


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
