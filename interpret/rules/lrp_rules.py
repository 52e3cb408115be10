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

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..nested import mapped, tensors_in
from ..operations.calls import Call, depends
from ..operations.kinds import ELEMENTWISE
from .rule_map import RuleMap
from .surrogates import attach, attach_gate, is_gate

LRP_RULES = RuleMap("LRP")
"""Which operation gets which rule in `lrp`."""

GATES = frozenset("sigmoid hardsigmoid softplus exp exp2 logsigmoid log_sigmoid erfc".split())
"""Functions that are not zero at zero: as factors they open and close for others."""

LOGARITHMS = frozenset("log log2 log10 logit".split())
"""Functions that start nowhere: they have no value at zero."""

_LEAST = 0.1
"""Below it, what goes into a function without a value at zero (1/x) takes its relevance in part:
f(x)/x is beyond all bounds there."""

_MASK = 1e30
"""Numbers beyond this mask something out; nothing of a prediction is due to them."""


class LrpPass:
    """A pass under LRP's rules: ε, and the account of the relevance that was handed on to nothing
    of the input.

    Args:
        epsilon: ε of the rule for linear layers, in units of their outputs.

    Attributes:
        absorbed: Sums, in units of the target: under "bias" what biases and other constants took,
            under "softmax", "epsilon" and "nonlinearity" what these did, under the name of an
            operation without a rule what that did.
    """

    def __init__(self, epsilon: float = 0.0) -> None:
        self.epsilon = epsilon
        self.absorbed: dict[str, float] = defaultdict(float)

    def constant(self, tensor: Tensor, constant: Tensor | float) -> Tensor:
        """The tensor; on the way back, what its relevance is for an addend of it is noted."""
        return self._watched(tensor, "bias", constant, 1.0)

    def difference(
        self, before: Sequence[Tensor], after: Tensor, cause: str
    ) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
        """Operands and a function for the result: the relevance that went into the result but did
        not come out of the operands is noted under a cause."""
        watched = [self._watched(one, cause, one.detach(), -1.0) for one in before]
        return watched, lambda result: self._watched(result, cause, after.detach(), 1.0)

    def share(self, result: Tensor, amount: Tensor, cause: str) -> Tensor:
        """The result; the relevance of an addend of it is noted under a cause."""
        return self._watched(result, cause, amount, 1.0)

    def _watched(self, tensor: Tensor, cause: str, amount: Tensor | float, sign: float) -> Tensor:
        if not tensor.requires_grad:
            # The model, or an operation without a derivative, hands nothing on.
            return tensor
        # A copy: the model may work in place on what it is given.
        watched = tensor.clone()

        def note(grad: Tensor) -> None:
            relevance = grad * amount
            if isinstance(amount, Tensor):
                # What is masked has no relevance, whatever its gradient.
                relevance = torch.where(amount.isfinite() & (amount != 0), relevance, 0)
            self.absorbed[cause] += sign * float(relevance.sum(dtype=torch.float64))

        watched.register_hook(note)
        return watched


@LRP_RULES.register("epsilon", {"linear", "addmm", "conv1d", "conv2d"})
def epsilon(call: Call, passed: LrpPass) -> Tensor:
    """R_i = Σ_j x_i w_ji R_j / (z_j + ε sign z_j), z = W x + b; b takes its own share."""
    z = call.plain()
    bias = _bias(call)
    if bias is not None:
        z = passed.constant(z, bias)
    if not passed.epsilon:
        return z
    size = z.detach().abs()
    share = size / (size + passed.epsilon)
    shrunk = attach(z.detach(), z * share)
    return passed.share(shrunk, (1 - share) * z.detach(), "epsilon")


@LRP_RULES.register("identity", ELEMENTWISE - {"rsqrt", "pow"} - LOGARITHMS)
def identity(call: Call, passed: LrpPass) -> Tensor:
    """R_x = R_y (f(x) - f(0)) / f(x) for y = f(x), elementwise: f(0) is no one's, like a bias, so
    what raises an f that rises has the sign of R_y · y. Near 0, where that difference is lost in
    rounding, it is f'(x/2) x, so that parts of a sum which is 0 have their shares. Where f has no
    value at 0, R_x = R_y, and an x below 0.1 takes |x| / 0.1 of it."""
    if len(call.operands) > 1:
        raise NotImplementedError(f"{call.name!r} of two operands that depend on the embeddings")
    (x,) = call.operands
    own = x.detach()
    y, start = call.of(own), call.of(torch.zeros_like(own))
    starts = start.isfinite()
    usable = own.isfinite() & y.isfinite() & (starts | (own != 0))
    divisor = torch.where(usable & (own != 0), own, 1)
    bounded = divisor.sign() * divisor.abs().clamp(min=_LEAST)
    ratio = torch.where(starts, (y - start) / divisor, y / bounded)
    near = (start != 0) & (own.abs() < torch.finfo(own.dtype).eps ** (1 / 3)) | (own == 0)
    if (near := near & starts).any():
        ratio = torch.where(near, _slope(call, own / 2), ratio)
    finite = torch.where(usable, x, 0)
    (x_,), result = passed.difference([finite], torch.where(y.isfinite(), y, 0), "nonlinearity")
    made = attach_gate if call.name in GATES or is_gate(x) else attach
    return result(made(y, x_ * ratio.masked_fill(~usable, 0)))


def _slope(call: Call, x: Tensor) -> Tensor:
    """f'(x) of an elementwise function; 0 where it has none."""
    x = x.expand(call.of(x).shape)
    with torch.enable_grad():
        at = x.clone().requires_grad_()
        y = call.of(at)
        if not y.requires_grad:
            return torch.zeros_like(x)
        (found,) = torch.autograd.grad(y.sum(), at)
    return found.nan_to_num(0, 0, 0)


@LRP_RULES.register("halves", {"product"})
def halves(call: Call, passed: LrpPass) -> Tensor:
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


@LRP_RULES.register("taylor", {"softmax", "log_softmax", "logsumexp"} | LOGARITHMS)
def taylor(call: Call, passed: LrpPass) -> Tensor:
    """R_x = x · (∂y/∂x)ᵀ (R_y / y): the softmax's own derivative, and a logarithm's, so that the
    logarithm of a softmax gets what the log-softmax gets."""
    (x,) = call.operands
    finite = x.masked_fill(x.detach().isinf(), 0)
    y = call.plain()
    cause = "nonlinearity" if call.name in LOGARITHMS else "softmax"
    (watched,), result = passed.difference([finite], y, cause)
    masked = torch.where(x.detach().isinf(), x.detach(), watched)
    return result(call.of(masked))


def scaled(call: Call) -> tuple[Tensor, Tensor | None]:
    """y = (x - mean x) r w of a layer norm, with r a constant, and its bias."""
    named = call.named("x", "shape", "weight", "bias", "eps")
    x = call.operands[0]
    dims = tuple(range(-len(named["shape"]), 0))
    centred = x - x.mean(dims, keepdim=True)
    r = (centred.detach().square().mean(dims, keepdim=True) + named.get("eps", 1e-5)).rsqrt()
    y = centred * r if named.get("weight") is None else centred * r * named["weight"]
    return y, named.get("bias")


@LRP_RULES.register("layer-norm", {"layer_norm"})
def layer_norm(call: Call, passed: LrpPass) -> Tensor:
    """y = (x - mean x) r w + b with r a constant; b takes its own share."""
    y, bias = scaled(call)
    return y if bias is None else passed.constant(y + bias, bias)


@LRP_RULES.register("rms-norm", {"rms_norm"})
def rms_norm(call: Call, passed: LrpPass) -> Tensor:
    """y = x r w with r a constant."""
    x = call.operands[0]
    y = call.of(x.detach())
    scale = y / torch.where(x.detach() == 0, torch.ones_like(y), x.detach())
    return attach(y, x * scale)


@LRP_RULES.register("constant", {"rsqrt"})
def constant(call: Call, passed: LrpPass) -> Tensor:
    """The size by which a norm divides is a constant."""
    return call.of(*(operand.detach() for operand in call.operands))


@LRP_RULES.register("quotient", {"div"})
def quotient(call: Call, passed: LrpPass) -> Tensor:
    """R_a = R_y for y = a / b: what divides is a constant, as in a norm."""
    a, b = call.args[:2]
    if depends(a):
        return call.function(a, b.detach(), *call.args[2:], **call.kwargs)
    return identity(call, passed)


@LRP_RULES.register("solution", {"linalg_solve", "linalg_solve_triangular"})
def solution(call: Call, passed: LrpPass) -> Tensor:
    """R_b = R_y for y = a⁻¹ b, all together: what divides is a constant."""
    a, *rest = call.args
    return call.function(a.detach(), *rest, **call.kwargs)


@LRP_RULES.register(
    "gradient", {"max", "amax", "topk", "sort", "kthvalue", "median", "mode", "cummax"}
)
def gradient(call: Call, passed: LrpPass) -> Any:
    """R_x = x · (∂y/∂x)ᵀ (R_y / y), of which nothing is noted: exact for what is linear in its
    operands, and where y is a choice among them."""
    return call.plain()


@LRP_RULES.register("power", {"pow"})
def power(call: Call, passed: LrpPass) -> Tensor:
    """R_x = R_y for y = xᵖ; with p < 0 it divides, and is a constant."""
    exponent = call.named("x", "exponent").get("exponent")
    if isinstance(exponent, float) and exponent < 0:
        return constant(call, passed)
    return identity(call, passed)


@LRP_RULES.register("addition", {"add", "sub", "rsub"})
def addition(call: Call, passed: LrpPass) -> Tensor:
    """R_a = a R_y / y, R_b = b R_y / y for y = a + b."""
    y = call.plain()
    others = [arg for arg in call.args[:2] if not depends(arg)]
    if not others:
        return y
    # What y is without the part that depends on the embeddings.
    fixed = call.of(*(torch.zeros_like(operand) for operand in call.operands))
    return passed.constant(y, fixed.masked_fill(fixed.abs() > _MASK, 0))


@LRP_RULES.register(
    "affine",
    frozenset(
        """
    batch_norm cat stack where masked_fill scatter scatter_add index_add index_copy index_put
    index_fill masked_scatter __setitem__ addmv addr addbmm pad constant_pad_nd select_scatter
    slice_scatter hstack vstack concat concatenate
    """.split()
    ),
)
def affine(call: Call, passed: LrpPass) -> Tensor:
    """What stands beside parts that depend on the embeddings takes its own share."""
    y = call.plain()
    fixed = call.function(*map(_without_dependent, call.args), **call.kwargs)
    return passed.constant(y, fixed.masked_fill(fixed.abs() > _MASK, 0))


@LRP_RULES.register("otherwise", {"otherwise"})
def otherwise(call: Call, passed: LrpPass) -> Any:
    """R_x = x · (∂y/∂x)ᵀ (R_y / y) for an operation without a rule; what its derivative does not
    hand on is noted under its name."""
    y = call.plain()
    if not isinstance(y, Tensor) or not y.is_floating_point():
        return y
    given = (call.args, dict(call.kwargs))
    operands = {id(one): one for one in tensors_in(given) if one.requires_grad}
    watched, result = passed.difference(list(operands.values()), y, call.name)
    others = dict(zip(operands, watched, strict=True))
    args, kwargs = mapped(given, lambda one: others.get(id(one), one))
    return result(call.function(*args, **kwargs))


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
