"""Functions whose faults are known, and what readers are warned of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from allennlp_saliency.interpret import (
    Explanation,
)
from tests.zoo.functions import predictor_of

YES: dict[str, Any] = {"type": "logit", "label": "yes"}
VECTORS = {"a": (1.0, 2.0), "b": (3.0, -1.0)}  # a and b add up to 5
LOCAL = ["gradient", "gradient-norm", "input-x-gradient", "one-hot-gradient", "smooth-gradients"]


def of_sum(function: Callable[[Tensor], Tensor], **model: Any) -> Any:
    """A predictor whose logits are 0 and a function of the sum of all coordinates, 5 for "a b"."""

    def logits(x: Tensor) -> Tensor:
        value = function(x.sum((1, 2)))
        return torch.stack([torch.zeros_like(value), value], 1)

    return predictor_of(logits, VECTORS, **model)


def explain(interpreter: Any) -> Explanation:
    (explanation,) = interpreter.interpret_json({"sentence": "a b"})
    return explanation


def step_at(place: float, height: float) -> Callable[[Tensor], Tensor]:
    return lambda v: torch.tanh(v) + height * (v > place).float()
