"""DeepLIFT's two passes: the baseline's is noted, the input's has multipliers for gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from ...operations.calls import Call
from ..rule_map import Rule
from ..rule_mode import RuleMode
from ..steps import note_step, step
from ..watch import Losses, Tape, Watch
from .over_dimensions import (
    chosen,
    layer_norm,
    log_softmax,
    log_sum_exp,
    maximum,
    rms_norm,
    softmax,
)
from .rules import DEEPLIFT_RULES, product

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
