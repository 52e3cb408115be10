"""Backward passes for many gradients at once, against autograd one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from allennlp_saliency.interpret.space.prefix.prefix_targets import (
    batched_backward,
    gradients_of_targets,
    group_prefixes,
    vjps,
)

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


class TestGroups:
    """Points that are alike so far have the same fingerprints up to there."""

    def test_prefixes_of_one_point(self) -> None:
        marks = [[0, 1, 7, 7], [0, 1, 2, 3], [0, 1, 2, 8], [0, 9, 9, 9]]
        # The longest comes first; the last differs in its only token.
        assert group_prefixes(marks, [0] * 4, [1, 3, 2, 1]) == [[1, 2, 0], [3]]

    def test_the_same_point_twice(self) -> None:
        marks = [[0, 1, 2], [0, 1, 2], [0, 1, 5]]
        assert group_prefixes(marks, [0] * 3, [2, 2, 2]) == [[0, 1], [2]]

    def test_texts_share_nothing(self) -> None:
        marks = [[0, 1, 2]] * 4
        assert group_prefixes(marks, [1, 0, 1, 0], [1, 1, 2, 2]) == [[3, 1], [2, 0]]

    def test_what_only_begins_alike(self) -> None:
        """A mark counts for its own length: the same number elsewhere is chance."""
        marks = [[0, 5, 6, 7], [0, 4, 5, 6], [0, 6, 0, 0]]
        assert group_prefixes(marks, [0] * 3, [3, 2, 1]) == [[0], [1], [2]]

    def test_the_first_that_fits(self) -> None:
        marks = [[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 0]]
        assert group_prefixes(marks, [0] * 3, [3, 3, 2]) == [[0, 2], [1]]

    def test_no_token(self) -> None:
        assert group_prefixes([[0, 1], [0, 2]], [0, 0], [1, 0]) == [[0, 1]]
        assert group_prefixes([], [], []) == []


class TestGradientsOfTargets:
    """Against a backward pass for each target."""

    ROWS, PLACES = torch.tensor([0, 1, 0, 0, 1, 0]), torch.tensor([2, 3, 5, 2, 0, 6])

    @pytest.mark.parametrize("at_once", [1, 2, 3, 100])
    def test_every_target_has_its_own(self, model: nn.Module, x: Tensor, at_once: int) -> None:
        """The first and the fourth are read at one place, and are other functions of it."""
        generator = torch.Generator().manual_seed(3)
        weights = torch.randn(6, DIM, generator=generator).double()
        scale = torch.ones((), dtype=torch.double, requires_grad=True)
        other = torch.ones(2, DIM, dtype=torch.double, requires_grad=True)
        with batched_backward():
            states = model(x * other[:, None])
        values = ((states * scale)[self.ROWS, self.PLACES] * weights).sum(-1) ** 2
        found = gradients_of_targets(values, states, (self.ROWS, self.PLACES), [x, other], at_once)
        assert [one.shape for one in found] == [(6, POSITIONS, DIM), (6, DIM)]
        for number, (row, value) in enumerate(zip(self.ROWS.tolist(), values, strict=True)):
            expected = torch.autograd.grad(value, [x, other], retain_graph=True)
            for one, by_itself in zip(found, expected, strict=True):
                assert torch.allclose(one[number], by_itself[row], atol=1e-12)
                assert one[number].any()

    def test_one_target(self, model: nn.Module, x: Tensor) -> None:
        with batched_backward():
            states = model(x)
        value = states[1, 4].sum()
        (found,) = gradients_of_targets(
            value[None], states, (torch.tensor([1]), torch.tensor([4])), [x], 8
        )
        (expected,) = torch.autograd.grad(value, x)
        assert torch.allclose(found[0], expected[1], atol=1e-12)
        # It is causal: nothing comes from behind.
        assert not found[0, 5:].any()


class NotBatched(torch.autograd.Function):
    """Whose backward pass takes one gradient at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 3 * x

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        # A number of the gradient, which there is none of where many are taken at once.
        return 3 * gradient if float(gradient.sum()) < torch.inf else None


class TestOneByOne:
    def test_an_operation_that_takes_one_gradient_at_a_time(self, x: Tensor) -> None:
        states: Any = NotBatched.apply(x)
        given = directions([(0, 2), (1, 3), (0, 5)])
        (found,) = vjps(states, [x], given)
        assert torch.allclose(found, 3 * given)

    def test_memory_is_left_to_the_caller(self, x: Tensor) -> None:
        def refuse(gradient: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        states = 3 * x
        states.register_hook(refuse)
        with pytest.raises(torch.OutOfMemoryError):
            vjps(states * 1, [x], directions([(0, 2), (1, 3)]))
