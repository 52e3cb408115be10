"""Gradient interaction modifications: gradients of what several factors do together.

A backward pass that is the gradient's but for three kinds of operations: the softmax is
differentiated at a higher temperature, a norm's statistics are constants, and each factor of a
product gets its share alone.

Edin et al. 2025, "GIM: Improved Interpretability for Large Language Models", section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..operations.calls import Call, depends
from .lrp_rules import constant, scaled
from .rule_map import RuleMap
from .surrogates import attach

GIM_RULES = RuleMap("GIM")
"""Which operation gets which rule in `gim`; all others keep their gradient."""


@dataclass(frozen=True)
class GimPass:
    """A pass under GIM's rules.

    Args:
        temperature: The softmax' temperature on the way back.
    """

    temperature: float = 2.0


@GIM_RULES.register("temperature", {"softmax"})
def temperature(call: Call, passed: GimPass) -> Tensor:
    """g_x = s (g_y - Σ s g_y), s = softmax(x / T): the gradient of T softmax(x / T).

    Section 4.1, temperature-adjusted softmax gradients.
    """
    (x,) = call.operands
    t = passed.temperature
    return attach(call.of(x.detach()), t * call.of(x / t))


@GIM_RULES.register("layer-norm", {"layer_norm"})
def layer_norm(call: Call, passed: GimPass) -> Tensor:
    """y = (x - mean x) r w + b with r a constant. Section 4.2, layer norm freeze."""
    y, bias = scaled(call)
    return y if bias is None else y + bias


@GIM_RULES.register("rms-norm", {"rms_norm"})
def rms_norm(call: Call, passed: GimPass) -> Tensor:
    """y = x r w with r a constant. Section 4.2, layer norm freeze."""
    named = call.named("x", "shape", "weight", "eps")
    x = call.operands[0]
    dims = tuple(range(-len(named["shape"]), 0))
    r = (x.detach().square().mean(dims, keepdim=True) + (named.get("eps") or 1e-5)).rsqrt()
    return x * r if named.get("weight") is None else x * r * named["weight"]


# The size by which a norm divides is a constant. Section 4.2, layer norm freeze.
GIM_RULES.register("constant", {"rsqrt"})(constant)


@GIM_RULES.register("quotient", {"div"})
def quotient(call: Call, passed: GimPass) -> Tensor:
    """y = a / b with b a constant, where b depends on the embeddings, as in a norm."""
    a, b = call.args[:2]
    return call.function(a, b.detach() if depends(b) else b, *call.args[2:], **call.kwargs)


@GIM_RULES.register("halves", {"product"})
def halves(call: Call, passed: GimPass) -> Tensor:
    """g_a = ½ g_y b, g_b = ½ g_y a for y = a b. Section 4.3, gradient normalisation.

    So of attention v gets a half, and q and k, whose product weighs it, a quarter.
    """
    parts = []
    for number, operand in enumerate(call.operands):
        others = [one.detach() for one in call.operands]
        others[number] = operand
        parts.append(call.of(*others))
    whole = sum(parts[1:], parts[0])
    return attach(call.of(*(one.detach() for one in call.operands)), whole / len(parts))


@GIM_RULES.register("gradient")
def gradient(call: Call, passed: GimPass) -> Any:
    """The operation's own gradient: `{"softmax": "gradient"}` leaves a modification out."""
    return call.plain()
