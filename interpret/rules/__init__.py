"""Backward passes of another kind: every operation of the model by a rule of its own.

A `TorchFunctionMode` sees each functional call of a forward pass, whether a module makes it or the
model's code. Operations that are linear in what depends on the embeddings keep their gradient;
others get the multipliers of a rule, or are taken apart into operations that have one. Which has
which is public: `LRP_RULES`, `DEEPLIFT_RULES`, `GIM_RULES`.
"""

from ..operations.calls import Call
from .deeplift.passes import DEEPLIFT_RULES
from .gim_rules import GIM_RULES, GimPass
from .lrp_rules import LRP_RULES, LrpPass
from .rule_map import Rule, RuleMap
from .surrogates import attach
from .watch import Reference

__all__ = [
    "DEEPLIFT_RULES",
    "GIM_RULES",
    "LRP_RULES",
    "Call",
    "GimPass",
    "LrpPass",
    "Reference",
    "Rule",
    "RuleMap",
    "attach",
]
