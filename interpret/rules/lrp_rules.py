"""Layer-wise relevance propagation with the AttnLRP treatment of attention.

Every rule hands the relevance of an output to its inputs. With relevance R = x · g, a rule is a
gradient g of another kind, so that rules chain as gradients do. What a rule does not hand on (to
biases and constants, to the softmax, to ε) is added up.

Achtibat et al. 2024, "AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for Transformers",
section 3; the ε rule is Bach et al. 2015, "On Pixel-Wise Explanations for Non-Linear Classifier
Decisions by Layer-Wise Relevance Propagation", equation 58; gates as in Arras et al. 2017,
"Explaining Recurrent Neural Network Predictions in Sentiment Analysis", section 2, and, in state
spaces, Jafari et al. 2024, "MambaLRP: Explaining Selective State Space Sequence Models".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..nested import mapped, tensors_in
from ..operations.calls import Call, attach, depends
from .absorbed import Absorbed
from .deeplift.rules import ELEMENTWISE
from .gates import attach_gate, is_gate
from .rule_mode import Rule

__all__ = ["Absorbed", "lrp_rules"]

LrpRule = Callable[[Call, Absorbed], Any]

GATES = frozenset("sigmoid hardsigmoid softplus exp exp2 logsigmoid log_sigmoid erfc".split())
"""Functions that are not zero at zero: as factors they open and close for others."""

_LEAST = 0.1
"""Below it, what goes into a function that is not zero at zero takes its relevance in part: f(x)/x
is beyond all bounds there."""

_MASK = 1e30
"""Numbers beyond this mask something out; nothing of a prediction is due to them."""


def lrp_rules(absorbed: Absorbed, epsilon: float) -> dict[str, Rule]:
    """The rules, by operation.

    Args:
        absorbed: Where they note what they hand on to nothing.
        epsilon: ε of the rule for linear layers, in units of their outputs.
    """
    by_epsilon = partial(linear, absorbed=absorbed, epsilon=epsilon)

    def of(rule: LrpRule) -> Rule:
        return lambda call: rule(call, absorbed)

    rules = {name: of(rule) for name, rule in _RULES.items()}
    return {**rules, **dict.fromkeys(_LINEAR, by_epsilon)}


def linear(call: Call, absorbed: Absorbed, epsilon: float) -> Tensor:
    """R_i = Σ_j x_i w_ji R_j / (z_j + ε sign z_j), z = W x + b; b takes its own share."""
    z = call.function(*call.args, **call.kwargs)
    bias = _bias(call)
    if bias is not None:
        z = absorbed.constant(z, bias)
    if not epsilon:
        return z
    size = z.detach().abs()
    share = size / (size + epsilon)
    shrunk = attach(z.detach(), z * share)
    return absorbed.share(shrunk, (1 - share) * z.detach(), "epsilon")


def identity(call: Call, absorbed: Absorbed) -> Tensor:
    """R_x = R_y for y = f(x), elementwise. Where f(0) is not 0, an x below 0.1 takes |x| / 0.1 of
    it."""
    if len(call.operands) > 1:
        raise NotImplementedError(f"{call.name!r} of two operands that depend on the embeddings")
    (x,) = call.operands
    own = x.detach()
    y = call.of(own)
    least = _LEAST if call.name in _NOT_ZERO_AT_ZERO else 0.0
    usable = own.isfinite() & y.isfinite() & (own != 0)
    divisor = torch.where(usable, own, 1)
    ratio = y / (divisor.sign() * divisor.abs().clamp(min=least))
    finite = torch.where(usable, x, 0)
    (x_,), result = absorbed.difference([finite], torch.where(y.isfinite(), y, 0), "nonlinearity")
    made = attach_gate if call.name in GATES or is_gate(x) else attach
    return result(made(y, x_ * ratio.masked_fill(~usable, 0)))


def product(call: Call, absorbed: Absorbed) -> Tensor:
    """R_a = R_b = R_y / 2 for y = a b. A gate hands on nothing, what it opens for takes all."""
    if len(call.operands) > 2:
        raise NotImplementedError(f"{call.name!r} of more than two operands")
    a, b = call.operands
    gates = is_gate(a), is_gate(b)
    y = call.of(a.detach(), b.detach())
    if gates[0] != gates[1]:
        return attach(y, call.of(a.detach(), b) if gates[0] else call.of(a, b.detach()))
    both = (call.of(a, b.detach()) + call.of(a.detach(), b)) / 2
    return attach_gate(y, both) if all(gates) else attach(y, both)


def taylor(call: Call, absorbed: Absorbed) -> Tensor:
    """R_x = x · (∂y/∂x)ᵀ (R_y / y): the softmax's own derivative."""
    (x,) = call.operands
    finite = x.masked_fill(x.detach().isinf(), 0)
    y = call.function(*call.args, **call.kwargs)
    (watched,), result = absorbed.difference([finite], y, "softmax")
    masked = torch.where(x.detach().isinf(), x.detach(), watched)
    return result(call.of(masked))


def layer_norm(call: Call, absorbed: Absorbed) -> Tensor:
    """y = (x - mean x) r w + b with r a constant; b takes its own share."""
    named = dict(zip(("x", "shape", "weight", "bias", "eps"), call.args, strict=False))
    named.update(call.kwargs)
    x = call.operands[0]
    dims = tuple(range(-len(named["shape"]), 0))
    centred = x - x.mean(dims, keepdim=True)
    r = (centred.detach().square().mean(dims, keepdim=True) + named.get("eps", 1e-5)).rsqrt()
    y = centred * r if named.get("weight") is None else centred * r * named["weight"]
    if named.get("bias") is None:
        return y
    return absorbed.constant(y + named["bias"], named["bias"])


def rms_norm(call: Call, absorbed: Absorbed) -> Tensor:
    """y = x r w with r a constant."""
    x = call.operands[0]
    y = call.of(x.detach())
    scale = y / torch.where(x.detach() == 0, torch.ones_like(y), x.detach())
    return attach(y, x * scale)


def constant(call: Call, absorbed: Absorbed) -> Tensor:
    """The size by which a norm divides is a constant."""
    return call.of(*(operand.detach() for operand in call.operands))


def quotient(call: Call, absorbed: Absorbed) -> Tensor:
    """R_a = R_y for y = a / b: what divides is a constant, as in a norm."""
    a, b = call.args[:2]
    if depends(a):
        return call.function(a, b.detach(), *call.args[2:], **call.kwargs)
    return identity(call, absorbed)


def solution(call: Call, absorbed: Absorbed) -> Tensor:
    """R_b = R_y for y = a⁻¹ b, all together: what divides is a constant."""
    a, *rest = call.args
    return call.function(a.detach(), *rest, **call.kwargs)


def chosen(call: Call, absorbed: Absorbed) -> Any:
    """R goes to the largest, or to those that are chosen."""
    return call.function(*call.args, **call.kwargs)


def power(call: Call, absorbed: Absorbed) -> Tensor:
    """R_x = R_y for y = xᵖ; with p < 0 it divides, and is a constant."""
    exponent = call.args[1] if len(call.args) > 1 else call.kwargs.get("exponent")
    if isinstance(exponent, float) and exponent < 0:
        return constant(call, absorbed)
    return identity(call, absorbed)


def addition(call: Call, absorbed: Absorbed) -> Tensor:
    """R_a = a R_y / y, R_b = b R_y / y for y = a + b."""
    y = call.function(*call.args, **call.kwargs)
    others = [arg for arg in call.args[:2] if not depends(arg)]
    if not others:
        return y
    # What y is without the part that depends on the embeddings.
    fixed = call.of(*(torch.zeros_like(operand) for operand in call.operands))
    return absorbed.constant(y, fixed.masked_fill(fixed.abs() > _MASK, 0))


def affine(call: Call, absorbed: Absorbed) -> Tensor:
    """What stands beside parts that depend on the embeddings takes its own share."""
    y = call.function(*call.args, **call.kwargs)
    fixed = call.function(*map(_without_dependent, call.args), **call.kwargs)
    return absorbed.constant(y, fixed.masked_fill(fixed.abs() > _MASK, 0))


def otherwise(call: Call, absorbed: Absorbed) -> Any:
    """R_x = x · (∂y/∂x)ᵀ (R_y / y) for an operation without a rule; what its derivative does not
    hand on is noted under its name."""
    y = call.function(*call.args, **call.kwargs)
    if not isinstance(y, Tensor) or not y.is_floating_point():
        return y
    given = (call.args, dict(call.kwargs))
    operands = {id(one): one for one in tensors_in(given) if one.requires_grad}
    watched, result = absorbed.difference(list(operands.values()), y, call.name)
    others = dict(zip(operands, watched, strict=True))
    args, kwargs = mapped(given, lambda one: others.get(id(one), one))
    return result(call.function(*args, **kwargs))


_NOT_ZERO_AT_ZERO = GATES | frozenset(
    "cos cosh acos reciprocal rdiv rpow log log2 log10 lgamma digamma sinc i0 logit div".split()
)

_LINEAR = ("linear", "addmm", "conv1d", "conv2d")

_RULES: dict[str, LrpRule] = {
    **dict.fromkeys(ELEMENTWISE, identity),
    "rsqrt": constant,
    **dict.fromkeys(("add", "sub", "rsub"), addition),
    **dict.fromkeys(
        """
        batch_norm cat stack where masked_fill scatter scatter_add index_add index_copy index_put
        index_fill masked_scatter __setitem__ addmv addr addbmm pad constant_pad_nd select_scatter
        slice_scatter hstack vstack concat concatenate
        """.split(),
        affine,
    ),
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), taylor),
    "pow": power,
    "product": product,
    "div": quotient,
    **dict.fromkeys("max amax topk sort kthvalue median mode cummax".split(), chosen),
    **dict.fromkeys(("linalg_solve", "linalg_solve_triangular"), solution),
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "otherwise": otherwise,
}


def _without_dependent(arg: Any) -> Any:
    if isinstance(arg, (list, tuple)):
        return type(arg)(map(_without_dependent, arg))
    return torch.zeros_like(arg) if depends(arg) else arg


def _bias(call: Call) -> Any:
    if call.name == "addmm":
        bias = None if depends(call.args[0]) else call.args[0]
        return bias if bias is None else bias * call.kwargs.get("beta", 1)
    bias = call.kwargs.get("bias", call.args[2] if len(call.args) > 2 else None)
    if bias is not None and call.name.startswith("conv"):
        return bias.view(-1, *(1,) * int(call.name[4]))
    return bias
