"""A forward pass that is random in evaluation mode is noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from allennlp_saliency.interpret.model.model_checks import RandomPasses, differ

X = torch.linspace(-1, 1, 50)


def dropout(x: Tensor) -> Tensor:
    return functional.dropout(x, 0.3, training=True)


def gumbel(x: Tensor) -> Tensor:
    return functional.gumbel_softmax(x, dim=-1)


def unused(x: Tensor) -> Tensor:
    torch.rand(3)
    return x * 2


def plain(x: Tensor) -> Tensor:
    return x * 2


@pytest.mark.parametrize(
    ("model", "random", "passes"),
    [(dropout, True, 2), (gumbel, True, 2), (unused, False, 2), (plain, False, 0)],
)
def test_random_or_not(model: Callable[[Tensor], Tensor], random: bool, passes: int) -> None:
    runs = []

    def run() -> dict[str, Tensor]:
        runs.append(1)
        return {"logits": model(X)}

    checks = RandomPasses()
    with checks.watching():
        model(X)
    assert checks.random is None
    assert checks.settle(run) is random
    assert len(runs) == passes
    # Once is enough.
    assert checks.settle(run) is random
    assert len(runs) == passes


def test_two_passes_that_are_there() -> None:
    generator = torch.Generator().manual_seed(0)
    checks = RandomPasses()
    assert not checks.check({"logits": X}, {"logits": X * (1 + 1e-6)})
    again = X + 0.01 * torch.randn(X.shape, generator=generator)
    assert checks.check({"logits": X}, {"logits": again})
    # What was random once stays so.
    assert checks.check({"logits": X}, {"logits": X})


def test_what_counts_as_a_difference() -> None:
    infinite = torch.tensor([1.0, float("-inf")])
    assert not differ({"logits": infinite}, {"logits": infinite.clone()})
    assert not differ({"tags": torch.tensor([1])}, {"tags": torch.tensor([2])})
    assert differ({"logits": X}, {"logits": X[:3]})
    half = X.half()
    assert not differ({"logits": half}, {"logits": half * 1.001})
    assert differ({"logits": half}, {"logits": half * 1.1})
