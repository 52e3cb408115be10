"""Floating numbers are compared up to rounding, all else exactly."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch

from allennlp_saliency.interpret.target.same_prediction import same_prediction

OUTPUTS: dict[str, Any] = {
    "logits": numpy.array([[1.0, -2.0], [3.0, -1e32]], dtype=numpy.float32),
    "score": numpy.float32(0.3),
    "label": "yes",
    "tags": ["B", "O"],
    "spans": [[1, 2], [3, 4]],
    "ids": numpy.array([1, 2]),
    "probs": [0.25, 0.75],
    "nested": {"loss": 0.5, "ragged": [[0.1], [0.2, 0.3]]},
    "nothing": None,
}


def same(**changed: Any) -> bool:
    return same_prediction(OUTPUTS, {**OUTPUTS, **changed}, torch.device("cpu"), torch.float32)


def test_the_same() -> None:
    assert same()
    assert same(logits=OUTPUTS["logits"] * numpy.float32(1 + 1e-6))
    assert same(nested={"loss": 0.5 + 1e-7, "ragged": [[0.1], [0.2, 0.3 - 1e-7]]})


@pytest.mark.parametrize(
    "changed",
    [
        {"logits": OUTPUTS["logits"] + numpy.float32(0.01)},
        {"logits": OUTPUTS["logits"][:1]},
        {"score": numpy.float32(0.31)},
        {"label": "no"},
        {"tags": ["B", "O", "O"]},
        {"tags": ["B", "B"]},
        {"spans": [[1, 2], [3, 5]]},
        {"ids": numpy.array([1, 3])},
        {"ids": numpy.array([1, 2, 0])},
        {"probs": [0.26, 0.74]},
        {"nested": {"loss": 0.6, "ragged": [[0.1], [0.2, 0.3]]}},
        {"nested": {"loss": 0.5}},
        {"nothing": 0},
        {"more": 1},
    ],
)
def test_not_the_same(changed: dict[str, Any]) -> None:
    assert not same(**changed)


def test_an_output_that_is_missing() -> None:
    less = {name: one for name, one in OUTPUTS.items() if name != "label"}
    assert not same_prediction(OUTPUTS, less, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("dtype", [numpy.float32, numpy.float64])
def test_what_is_not_finite_is_compared_exactly(dtype: type) -> None:
    def alike(one: list[float], other: list[float]) -> bool:
        given = ({"a": numpy.array(numbers, dtype)} for numbers in (one, other))
        return same_prediction(*given, torch.device("cpu"), torch.float32)

    inf, nan = float("inf"), float("nan")
    assert alike([inf, -inf, nan, 1.0], [inf, -inf, nan, 1.0])
    assert not alike([inf, 1.0], [-inf, 1.0])
    assert not alike([-inf, 1.0], [-1e32, 1.0])
    assert not alike([nan, 1.0], [0.0, 1.0])
    assert not alike([nan, 1.0], [inf, 1.0])


def test_what_has_no_equality_is_not_the_same() -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise TypeError

    assert not same_prediction({"a": Odd()}, {"a": Odd()}, torch.device("cpu"), torch.float32)
