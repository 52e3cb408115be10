"""What a model decides by its embeddings is part of the difference from a baseline."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from allennlp_saliency.interpret.rules.watch import OtherPathError
from tests.interpret.rules.deeplift.passes import Passes, check_complete, t, tensors

MATRIX = torch.arange(12.0).double().reshape(4, 3).sin()


def routed(x: Tensor) -> Tensor:
    """The weights of a token's experts, as mixtures of experts have them."""
    scores = x.sigmoid()
    weights, chosen = scores.topk(2, dim=-1)
    weights = weights / weights.sum(-1, keepdim=True)
    return torch.zeros_like(x).scatter_(1, chosen, weights)


def in_groups(x: Tensor) -> Tensor:
    """... where a token's experts are of one group, and the weights are changed in place."""
    scores = x.sigmoid()
    group = scores.view(-1, 2, 2).sum(-1).topk(1, dim=-1, sorted=False)[1]
    mask = torch.zeros(len(x), 2).double().scatter_(1, group, 1)
    allowed = mask.unsqueeze(-1).expand(-1, 2, 2).reshape(-1, 4)
    chosen = scores.masked_fill(~allowed.bool(), -math.inf).topk(2, dim=-1)[1]
    weights = scores.gather(1, chosen)
    weights /= weights.sum(-1, keepdim=True)
    return torch.zeros_like(x).scatter_add(1, chosen, weights)


def by_one_hot(x: Tensor) -> Tensor:
    chosen = F.one_hot(x.argmax(-1), 4)
    return (x.softmax(-1) * chosen).sum(-1) + (chosen.double() @ MATRIX).sum(-1)


def masked_softmax(x: Tensor) -> Tensor:
    """Attention to what is above the mean, and to the first."""
    mask = x < x.mean(-1, keepdim=True)
    mask[:, 0] = False
    return x.masked_fill(mask, -math.inf).softmax(-1)


def with_masked_scores(x: Tensor) -> Tensor:
    values, places = x.topk(1, dim=1)
    return torch.full_like(x, -math.inf).scatter_(1, places, values).sigmoid()


def no_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        size = x.abs().max(-1, keepdim=True).values
    return x / size + x.detach().tanh() * x.data


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "top-k": routed,
    "in-groups": in_groups,
    "one-hot": by_one_hot,
    "masked-softmax": masked_softmax,
    "masked-scores": with_masked_scores,
    "no-gradient": no_gradient,
    "relu-by-mask": lambda x: x * (x > 0),
    "where": lambda x: torch.where(x > 0.1, x**2, x.tanh()),
    "a-row-of-a-matrix": lambda x: MATRIX[x.argmax(-1)] * x[:, :3],
    "an-embedding": lambda x: F.embedding(x.argmax(-1), MATRIX) + x.sum(-1, keepdim=True),
    "items-set": lambda x: _set(x.tanh(), x > 1, 0.5),
    "items-set-in-a-constant": lambda x: _set(torch.zeros(6, 4).double(), x > 0, 1.0) * x,
    "sorted": lambda x: x.gather(-1, x.argsort(-1)) * torch.arange(4),
    "shuffled-and-back": lambda x: _shuffled_and_back(x),
    "counted": lambda x: (x > 0).sum(-1) / 4 + x.mean(-1),
}


def _set(x: Tensor, places: Tensor, value: float) -> Tensor:
    x[places] = value
    return x


def _shuffled_and_back(x: Tensor) -> Tensor:
    order = x[:, 0].argsort()
    return torch.zeros_like(x).index_add_(0, order, x[order].exp())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_complete(name: str) -> None:
    function = FUNCTIONS[name]
    x, x_0 = tensors((6, 4), seed=1), tensors((6, 4), seed=2)
    plain, plain_0 = function(*x), function(*x_0)
    weights = torch.randn(plain.shape, generator=torch.Generator().manual_seed(3)).double()
    passes = Passes.of(function, x, x_0, weights)
    assert torch.allclose(passes.y, plain, rtol=0, atol=1e-12)
    expected = float((weights * (plain - plain_0)).sum())
    assert abs(expected) > 1e-2
    # Infinity is taken for 10⁴, whose digits are fewer.
    rounding = 1e-6 if "masked" in name else 1e-10
    assert sum(passes.contributions) == pytest.approx(expected, abs=rounding)
    assert passes.unsupported_ops == set()


def test_a_step_by_hand() -> None:
    # 5 [x > 1]: from 0 at 0.5 to 5 at 3, all of it due to the change of 2.5.
    (m,) = Passes.of(lambda x: 5 * (x > 1).double(), [t(3)], [t(0.5)]).multipliers
    assert m.item() == pytest.approx(5 / 2.5)


def test_mask_and_masked_by_hand() -> None:
    # x [x > 1]: half of 2.5 is due to x as a factor, whose mean mask is 1/2, the rest to the mask.
    (m,) = Passes.of(lambda x: x * (x > 1), [t(3)], [t(0.5)]).multipliers
    assert m.item() * 2.5 == pytest.approx(3)


def test_a_choice_is_shared_out_by_what_changed() -> None:
    """m = Δy Δx / ‖Δx‖², the least that is complete."""
    x, x_0 = t([1, 3, 2]), t([2, 1, 2])
    values = t(10, 20, 40)
    (m,) = Passes.of(lambda x: values[x.argmax(-1)], [x], [x_0]).multipliers
    change = x - x_0
    assert torch.allclose(m, 10 * change / change.square().sum())


def test_each_token_has_its_own_choice() -> None:
    x, x_0 = tensors((5, 4), (5, 4), seed=3)
    x[2] = x_0[2]
    weights = torch.zeros(5, 4).double()
    weights[1] = 1.7
    (m,) = Passes.of(lambda x: routed(x) * MATRIX.T.sum(0), [x], [x_0], weights).multipliers
    assert m[[0, 2, 3, 4]].abs().max() == 0
    assert m[1].abs().max() > 0


def test_what_is_the_same_in_both_passes_is_a_constant() -> None:
    x, x_0 = tensors((5, 4), (5, 4), seed=3)
    mask = x_0 > 0
    x = torch.where(mask, x.abs(), -x.abs())
    (m,) = Passes.of(lambda x: x * (x > 0), [x], [x_0]).multipliers
    assert m.tolist() == mask.double().tolist()


def test_another_number_of_chosen_ones_is_refused() -> None:
    with pytest.raises(OtherPathError):
        Passes.of(lambda x: x[x > 0].sum(), [t(1, 2)], [t(-1, 2)])


def test_a_detour_without_gradients_is_no_way_out() -> None:
    check_complete(lambda x: x * x.detach(), (3, 4))
    check_complete(lambda x: x * x.data, (3, 4))


def test_a_decision_that_is_the_same_in_both_passes_gets_nothing() -> None:
    passes = Passes.of(lambda x: 3 * (x > 0).double(), [t(0.5, -1.0)], [t(2.0, -0.5)])
    assert passes.y.tolist() == [3.0, 0.0]
    assert passes.multipliers[0].tolist() == [0.0, 0.0]
