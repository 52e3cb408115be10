"""Attention explained by the rules of AttnLRP, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from .lrp import Array, relevance, tensors


def test_attention_layer() -> None:
    """One head, worked through backwards with the paper's rules, step by step in numpy."""
    n, d = 3, 2
    x, w_q, w_k, w_v, w_o = tensors((n, d), (d, d), (d, d), (d, d), (d, d), seed=7)
    b_q, b_k, b_v, b_o = tensors((d,), (d,), (d,), (d,), seed=8)

    def layer(x: Tensor) -> Tensor:
        q, k, v = (F.linear(x, w, b) for w, b in ((w_q, b_q), (w_k, b_k), (w_v, b_v)))
        a = (q @ k.T / math.sqrt(d)).softmax(-1)
        return x + F.linear(a @ v, w_o, b_o)

    (r,) = tensors((n, d), seed=9)
    (found,), absorbed = relevance(layer, [x], r)

    X, R = x.numpy(), r.numpy()
    weights = {name: w.numpy() for name, w in zip("qkvo", (w_q, w_k, w_v, w_o), strict=True)}
    biases = {name: b.numpy() for name, b in zip("qkvo", (b_q, b_k, b_v, b_o), strict=True)}
    q, k, v = (X @ weights[name].T + biases[name] for name in "qkv")
    s = q @ k.T / math.sqrt(d)
    a = np.exp(s) / np.exp(s).sum(-1, keepdims=True)
    o = a @ v
    out = o @ weights["o"].T + biases["o"]
    to_bias = 0.0

    def linear(inputs: Array, name: str, z: Array, r: Array) -> Array:
        """Equation 5: x_i w_ji / z_j of R_j, for every token."""
        nonlocal to_bias
        to_bias += (biases[name] * r / z).sum()
        return np.einsum("ti,ji,tj->ti", inputs, weights[name], r / z)

    r_x = X / (X + out) * R  # The residual: equation 5 with two addends.
    r_o = linear(o, "o", out, out / (X + out) * R)
    # Equation 13: of a · v half to a, half to v, each product by its share of the sum.
    shares = np.einsum("ij,jd,id->ijd", a, v, r_o / o) / 2
    r_a, r_v = shares.sum(2), shares.sum(0)
    r_s = s * (r_a - a * r_a.sum(-1, keepdims=True))
    to_softmax = r_a.sum() - r_s.sum()
    shares = np.einsum("id,jd,ij->ijd", q, k, r_s / (s * math.sqrt(d))) / 2
    r_q, r_k = shares.sum(1), shares.sum(0)
    for name, z, r_z in (("q", q, r_q), ("k", k, r_k), ("v", v, r_v)):
        r_x = r_x + linear(X, name, z, r_z)

    assert found == pytest.approx(r_x)
    assert absorbed["bias"] == pytest.approx(to_bias)
    assert absorbed["softmax"] == pytest.approx(to_softmax)
    assert found.sum() + sum(absorbed.values()) == pytest.approx(R.sum())


@pytest.mark.parametrize("masked", [True, False])
def test_fused_attention_is_the_same(masked: bool) -> None:
    q, k, v, r = tensors((4, 3), (5, 3), (5, 2), (4, 2))
    allowed = torch.ones(4, 5).tril(1) > 0 if masked else torch.ones(4, 5).bool()
    fused, of_fused = relevance(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, allowed), [q, k, v], r
    )
    plain, of_plain = relevance(
        lambda q, k, v: (q @ k.T / math.sqrt(3)).masked_fill(~allowed, -math.inf).softmax(-1) @ v,
        [q, k, v],
        r,
    )
    for left, right in zip(fused, plain, strict=True):
        assert left == pytest.approx(right)
    assert of_fused["softmax"] == pytest.approx(of_plain["softmax"])
