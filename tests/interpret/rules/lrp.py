"""A function explained by the rules of AttnLRP, and numbers for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from allennlp_saliency.interpret.rules.lrp_rules import LRP_RULES, LrpPass
from allennlp_saliency.interpret.rules.rule_mode import RuleMode

Array = Any


def relevance(
    function: Callable[..., Tensor],
    x: Sequence[Tensor],
    r: Tensor | None = None,
    epsilon: float = 0.0,
) -> tuple[list[Array], dict[str, float]]:
    """Relevance of each operand, and what was absorbed, for relevance r of the outputs.

    Args:
        function: Of the operands.
        x: The operands.
        r: None for the outputs themselves.
        epsilon: Of the rule for linear layers.
    """
    passed = LrpPass(epsilon)
    leaves = [operand.clone().requires_grad_() for operand in x]
    with RuleMode(LRP_RULES.bound(passed)) as mode:
        y = function(*leaves)
    assert mode.unsupported_ops == set()
    weights = torch.ones_like(y) if r is None else r / y.detach()
    found = torch.autograd.grad((y * weights).sum(), leaves, allow_unused=True)
    parts = [
        (at * (torch.zeros_like(at) if g is None else g)).detach().numpy()
        for g, at in zip(found, x, strict=True)
    ]
    return parts, dict(passed.absorbed)


def tensors(*shapes: Sequence[int], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(tuple(shape), generator=generator).double() for shape in shapes]


def t(*values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
