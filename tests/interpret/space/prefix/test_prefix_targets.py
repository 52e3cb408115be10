"""Backward passes for many gradients at once, against autograd one by one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from allennlp_saliency.interpret.space.prefix.prefix_targets import batched_backward, vjps

POSITIONS, DIM = 7, 8


class Block(nn.Module):
    """Causal attention and a feed-forward layer, with both kinds of weights that models have."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(DIM, 3 * DIM)
        self.weight = nn.Parameter(torch.randn(DIM, 16))
        self.bias = nn.Parameter(torch.randn(16))
        self.back = nn.Linear(16, DIM, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).chunk(3, -1)
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True)
        wide = torch.addmm(self.bias, x.view(-1, DIM), self.weight)
        return x + self.back(torch.tanh(wide)).view(x.shape)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(Block(), Block()).double().requires_grad_(False)


@pytest.fixture
def x() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, POSITIONS, DIM, generator=generator).double().requires_grad_()


def directions(places: list[tuple[int, int]]) -> Tensor:
    """One for each row and place."""
    given = torch.zeros(len(places), 2, POSITIONS, DIM, dtype=torch.double)
    generator = torch.Generator().manual_seed(2)
    for number, (row, place) in enumerate(places):
        given[number, row, place] = torch.randn(DIM, generator=generator).double()
    return given


@pytest.mark.parametrize(
    "places", [[(0, 2)], [(0, 0), (1, 3), (0, 6)], [(row, 6) for row in (0, 1)] * 3]
)
def test_as_one_by_one(model: nn.Module, x: Tensor, places: list[tuple[int, int]]) -> None:
    with batched_backward():
        states = model(x)
    expected = model(x)
    assert torch.allclose(states, expected, atol=1e-12)
    given = directions(places)
    (found,) = vjps(states, [x], given)
    for one, direction in zip(found, given, strict=True):
        (by_itself,) = torch.autograd.grad(expected, x, direction, retain_graph=True)
        assert torch.allclose(one, by_itself, atol=1e-12)


def test_a_direction_that_is_zero_everywhere(model: nn.Module, x: Tensor) -> None:
    with batched_backward():
        states = model(x)
    given = directions([(0, 2), (1, 1)])
    given[1] = 0
    (found,) = vjps(states, [x], given)
    assert found[0].any()
    assert not found[1].any()


def test_what_is_not_a_number_stays_so(model: nn.Module, x: Tensor) -> None:
    with batched_backward():
        states = model(x)
    given = directions([(0, 4), (1, 4)])
    given[0, 0, 4, 3] = float("nan")
    (found,) = vjps(states, [x], given)
    assert found[0, 0, :5].isnan().all()
    assert torch.isfinite(found[1]).all()


def test_what_a_leaf_has_no_part_in(model: nn.Module, x: Tensor) -> None:
    other = torch.zeros(3, requires_grad=True)
    with batched_backward():
        states = model(x)
    for places in ([(0, 1)], [(0, 1), (1, 2)]):
        _, found = vjps(states, [x, other], directions(places))
        assert found.shape == (len(places), 3)
        assert not found.any()


def test_weights_that_are_trained_keep_their_gradient(model: nn.Module, x: Tensor) -> None:
    model.requires_grad_(True)
    with batched_backward():
        states = model(x)
    states.sum().backward()
    found = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    model(x).sum().backward()
    for one, parameter in zip(found, model.parameters(), strict=True):
        assert one is not None
        assert parameter.grad is not None
        assert torch.allclose(one, parameter.grad, atol=1e-10)
