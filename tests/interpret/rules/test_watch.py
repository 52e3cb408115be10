"""The watch names what loses, and how much."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret.rules.deeplift.passes import recording, replaying
from allennlp_saliency.interpret.rules.lrp_rules import LRP_RULES, LrpPass
from allennlp_saliency.interpret.rules.rule_mode import RuleMode
from allennlp_saliency.interpret.rules.watch import Losses, Tape, Values
from tests.interpret.rules.deeplift.passes import tensors


def function(x: Tensor) -> Tensor:
    h = x.tanh()
    h += 1
    return h.logcumsumexp(-1) * x


def test_of_a_difference() -> None:
    x, x_0 = tensors((3, 4), (3, 4), seed=1)
    tape, noted = Tape(), Values()
    losses = Losses(noted)
    with recording(tape, noted):
        y_0 = function(x_0.clone().requires_grad_())
    leaf = x.clone().requires_grad_()
    with replaying(tape, losses):
        y = function(leaf)
    (m,) = torch.autograd.grad(y.sum(), leaf)
    missing = float((y - y_0).sum() - (m * (x - x_0)).sum())
    assert abs(missing) > 1e-3
    assert losses.of["logcumsumexp"] == pytest.approx(missing)
    for name in ("tanh", "mul", "add"):
        assert losses.of[name] == pytest.approx(0, abs=1e-12)
    assert list(losses.largest(1)) == ["logcumsumexp"]


def test_of_relevance() -> None:
    (x,) = tensors((3, 4), seed=1)
    losses, passed = Losses(), LrpPass()
    leaf = x.clone().requires_grad_()
    with RuleMode(LRP_RULES.bound(passed), watch=losses):
        y = function(leaf)
    (g,) = torch.autograd.grad(y.sum(), leaf)
    assert sum(losses.of.values()) == pytest.approx(float(y.sum() - (g * x).sum()))
    assert losses.of["add"] == pytest.approx(passed.absorbed["bias"])
    assert losses.of["logcumsumexp"] == pytest.approx(passed.absorbed["logcumsumexp"])
    total = float((g * x).sum()) + sum(passed.absorbed.values())
    assert total == pytest.approx(float(y.sum()))


def decides(x: Tensor) -> Tensor:
    """Experts, written into views, and a rotation of complex numbers."""
    values, chosen = x.softmax(-1).topk(2, dim=-1)
    made = x.new_empty(len(x), 8)
    made[:, :4].copy_(torch.zeros_like(x).scatter_(1, chosen, values))
    made[:, 4:] = torch.view_as_real(torch.view_as_complex(x.view(-1, 2, 2)) * 1j).view(-1, 4)
    return made.tanh()


def test_nothing_is_lost_by_decisions_and_views() -> None:
    x, x_0 = tensors((5, 4), seed=1), tensors((5, 4), seed=2)
    tape, noted = Tape(), Values()
    losses = Losses(noted)
    with recording(tape, noted):
        y_0 = decides(x_0[0].clone().requires_grad_())
    leaf = x[0].clone().requires_grad_()
    with replaying(tape, losses):
        y = decides(leaf)
    (m,) = torch.autograd.grad(y.sum(), leaf)
    assert float((m * (x[0] - x_0[0])).sum()) == pytest.approx(float((y - y_0).sum()), abs=1e-12)
    assert {"scatter", "topk", "softmax", "tanh", "mul"} <= set(losses.of)
    for amount in losses.of.values():
        assert amount == pytest.approx(0, abs=1e-12)
