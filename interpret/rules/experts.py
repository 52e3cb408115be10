"""Mixtures of experts with every expert computed for every token."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Experts = Callable[[Tensor, Tensor, Tensor], Tensor]
_CHOICES = ("top_k_index", "router_indices", "selected_experts", "router_mask")


@contextmanager
def every_expert(model: nn.Module) -> Iterator[None]:
    """Lets a model compute y = Σ_e w_e E_e(x) over all experts, w_e = 0 for those not chosen.

    A token's experts differ between an input and its baseline. Computed for the chosen alone, what
    one pass has at some place belongs to another token or expert than what the other has there.

    Args:
        model: A private copy of a model; its modules of experts are replaced for the time being.
    """
    with ExitStack() as stack:
        for module in model.modules():
            forward = _densely(module)
            if forward is not None:
                stack.enter_context(patch.object(module, "forward", forward))
        yield


def _densely(module: nn.Module) -> Experts | None:
    count = getattr(module, "total_experts", getattr(module, "num_experts", None))
    if not isinstance(count, int) or "forward" in vars(module):
        return None
    names = list(inspect.signature(module.forward).parameters)
    if len(names) != 3 or names[1] not in _CHOICES:
        return None
    sparse = module.forward
    masks = names[1] == "selected_experts" and isinstance(module, nn.ModuleDict)

    def forward(hidden: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        # One model gives its experts `(rows, positions, dim)`, the others `(tokens, dim)`.
        shape, hidden = hidden.shape, hidden.reshape(-1, hidden.shape[-1])
        # One forward squeezes a single choice away: there the second weighs nothing.
        width = 2 if hasattr(module, "total_experts") else 1
        first = torch.eye(width, dtype=weights.dtype, device=weights.device)[0]
        if masks:
            of_each = (chosen * weights.unsqueeze(-1)).sum(1)
        else:
            of_each = _by_place(chosen, weights, count)
        y = torch.zeros_like(hidden)
        for number in range(count):
            every = torch.full((len(hidden), width), number, device=hidden.device)
            if masks:
                every = F.one_hot(every, count)
            one = sparse(hidden, every, first.expand(len(hidden), width))
            y = y + one.reshape(hidden.shape) * of_each[:, number, None]
        return y.to(hidden.dtype).reshape(shape)

    return forward


def _by_place(chosen: Tensor, weights: Tensor, count: int) -> Tensor:
    """The weight of each expert, `(tokens, experts)`, of the numbers of those chosen; one number
    beyond the last stands for none."""
    empty = torch.zeros(len(chosen), count + 1, dtype=weights.dtype, device=weights.device)
    return empty.scatter_add(1, chosen.clamp(max=count), weights)[:, :count]
