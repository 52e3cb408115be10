"""The rules of AttnLRP do not depend on how an operation is written: the order of its factors, the
names of its arguments. A mutation run found that no test held it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from .lrp import relevance, t, tensors


def test_a_gate_hands_on_nothing_wherever_it_stands() -> None:
    a, b = t(0.3, -1.2), t(2.0, 0.7)
    value = (a.sigmoid() * b).numpy()
    for function in (lambda x, y: x.sigmoid() * y, lambda x, y: y * x.sigmoid()):
        (of_gate, of_open), _ = relevance(function, [a, b])
        assert of_open == pytest.approx(value, rel=1e-12)
        assert np.abs(of_gate).max() == 0


def test_a_norm_with_or_without_the_names_of_its_arguments() -> None:
    x, weight, bias = tensors((2, 3), (3,), (3,))
    named, absorbed = relevance(lambda x: F.layer_norm(x, (3,), weight=weight, bias=bias), [x])
    bare, also = relevance(lambda x: torch.layer_norm(x, (3,), weight, bias), [x])
    # By hand: what divides is a constant, and the bias takes its share.
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred * (centred.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight
    assert bare[0].sum(-1) == pytest.approx(scaled.sum(-1).numpy(), rel=1e-9)
    assert bare[0] == pytest.approx(named[0], rel=1e-12)
    assert also == pytest.approx(absorbed, rel=1e-12)
    assert sum(also.values()) == pytest.approx(2 * float(bias.sum()), rel=1e-9)


def test_a_solution_is_shared_by_its_right_side() -> None:
    """x = A⁻¹ b: the shares of b_j in x_i are A⁻¹_ij b_j, whatever A was made of."""
    matrix, right = tensors((3, 3), (3, 1), seed=1)
    inverse = torch.linalg.inv(matrix)
    (of_matrix, of_right), _ = relevance(torch.linalg.solve, [matrix, right])
    assert of_right == pytest.approx((inverse.sum(0).unsqueeze(-1) * right).numpy(), rel=1e-9)
    assert np.abs(of_matrix).max() == 0
