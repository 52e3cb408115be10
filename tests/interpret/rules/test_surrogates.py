"""Gates hand on no relevance: what they open for takes all (Arras et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .lrp import relevance, t, tensors


@pytest.mark.parametrize(
    "gated",
    [
        lambda a, b: a.sigmoid() * b,
        lambda a, b: b * F.softplus(a),
        lambda a, b: b * (1 - a.sigmoid()),
        lambda a, b: a.exp().unsqueeze(0).expand(1, -1)[0] * b,
        lambda a, b: a.sigmoid() * b * a.exp(),
        lambda a, b: (a.sigmoid() * a.exp()) * b,
        lambda a, b: (-a.exp()).exp() * b,
        lambda a, b: F.glu(torch.cat([b, a])),
    ],
)
def test_the_signal_takes_all(gated: Callable[..., Tensor]) -> None:
    a, b, r = tensors((5,), (5,), (5,))
    (of_a, of_b), absorbed = relevance(gated, [a, b], r)
    assert of_b == pytest.approx(r.numpy())
    assert np.abs(of_a).max() == 0
    assert absorbed.get("bias", 0) == pytest.approx(0, abs=1e-12)


def test_silu_is_no_gate() -> None:
    # AttnLRP: a SiLU hands on what it gets, and a gated layer's two factors get half each.
    a, b, r = tensors((5,), (5,), (5,))
    (of_a, of_b), _ = relevance(lambda a, b: F.silu(a) * b, [a, b], r)
    assert of_a == pytest.approx(r.numpy() / 2)
    assert of_b == pytest.approx(r.numpy() / 2)


def test_a_silu_that_is_written_out_is_one() -> None:
    x, r = tensors((5,), (5,))
    fused, written = (
        relevance(one, [x], r)[0][0] for one in (F.silu, lambda x: x * torch.sigmoid(x))
    )
    assert written == pytest.approx(fused)


def test_no_explosion_where_the_input_of_a_function_is_nearly_nothing() -> None:
    """exp(10⁻⁶) = 1: all of it as relevance of a sum that cancels would be 10⁶ times that."""
    a, b = t(1.0), t(-1.0 + 1e-6)
    (of_a, of_b), absorbed = relevance(lambda a, b: (a + b).exp(), [a, b])
    assert abs(of_a[0]) < 11
    assert of_a.sum() + of_b.sum() + absorbed["nonlinearity"] == pytest.approx(1 + 1e-6)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_long_texts_of_letters(kind: type[nn.RNNBase]) -> None:
    """A hundred steps: relevance stays of the value's size, and is accounted for."""
    torch.manual_seed(0)
    layer = kind(8, 16).double().requires_grad_(False)
    head = nn.Linear(16, 1).double().requires_grad_(False)
    for seed in range(3):
        (x,) = tensors((100, 1, 8), seed=seed)
        (found,), absorbed = relevance(lambda x: head(layer(x)[0][-1]), [x])
        value = float(head(layer(x)[0][-1]))
        assert found.sum() + sum(absorbed.values()) == pytest.approx(value, abs=1e-9)
        assert np.abs(found).sum() < 100
        assert max(map(abs, absorbed.values())) < 10
