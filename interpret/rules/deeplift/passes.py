"""DeepLIFT's two passes: the baseline's is noted, the input's has multipliers for gradients.
Mixtures of experts compute every expert for every token in both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...operations.calls import Call
from ..rule_map import Rule
from ..rule_mode import RuleMode
from ..steps import note_step, step
from ..watch import Losses, Tape, Watch
from .rules import (
    DEEPLIFT_RULES,
    chosen,
    layer_norm,
    log_softmax,
    log_sum_exp,
    maximum,
    product,
    rms_norm,
    softmax,
)

_WITHOUT_OUTPUT = frozenset(
    {product, softmax, log_softmax, log_sum_exp, layer_norm, rms_norm, maximum, chosen}
)
"""Rules that do not look at what the baseline's pass returned. To keep that for these too takes no
more time, but half as much memory again for the tape of 256 tokens (bert-base)."""


def recording(
    tape: Tape, watch: Watch | None = None, rules: Mapping[str, Rule] | None = None
) -> RuleMode:
    """A forward pass for the baseline, noted on a tape.

    Args:
        tape: The tape.
        watch: Sees each operation.
        rules: By operation, None for those that there are by default.
    """

    def note(call: Call, keep: bool) -> Any:
        output = call.plain()
        tape.note(call.name, call.operands, output if keep else None)
        return output

    given = DEEPLIFT_RULES.functions() if rules is None else rules
    notes: dict[str, Callable[[Call], Any]] = {
        operation: partial(note, keep=rule not in _WITHOUT_OUTPUT)
        for operation, rule in given.items()
    }
    return RuleMode(
        {**notes, "detach": _alias}, partial(note_step, tape=tape), tape.note_number, watch
    )


def replaying(
    tape: Tape, losses: Losses | None = None, rules: Mapping[str, Rule] | None = None
) -> RuleMode:
    """A forward pass for the input whose gradients are multipliers; arguments as in `recording`."""

    def with_reference(rule: Rule) -> Callable[[Call], Any]:
        return lambda call: rule(call, tape.read(call))

    given = DEEPLIFT_RULES.functions() if rules is None else rules
    multipliers = {operation: with_reference(rule) for operation, rule in given.items()}
    tape.losses = losses
    return RuleMode(
        {**multipliers, "detach": _alias}, partial(step, tape=tape), tape.compare_number, losses
    )


def _alias(call: Call) -> Tensor:
    """y = x: a difference goes on where a model stops the gradient."""
    (x,) = call.operands
    return x.view_as(x)


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
