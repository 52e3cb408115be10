"""DeepLIFT's rescale rule for every operation of a transformer.

Each operation y(x) is given multipliers m with Σ m Δx = Δy, where Δ is the difference between the
pass of the input and that of the baseline; chained, they give Σ m Δe = ΔF for the embeddings e
(Shrikumar, Greenside and Kundaje 2017, "Learning Important Features Through Propagating Activation
Differences", equations 1 to 3).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...operations.calls import Call, attach, depends
from ..rule_mode import Rule, RuleMode
from ..steps import note_step, step
from ..tape import OtherPathError, Tape
from ..watch import Losses, Watch
from .extremes import chosen, maximum
from .norms import layer_norm, rms_norm
from .softmax import log_softmax, log_sum_exp, softmax

__all__ = [
    "ELEMENTWISE",
    "OtherPathError",
    "Tape",
    "recording",
    "recording_rules",
    "replaying",
    "replaying_rules",
]

ELEMENTWISE = """
relu relu6 gelu silu mish elu selu celu leaky_relu prelu hardtanh hardswish hardsigmoid softplus
softsign logsigmoid log_sigmoid tanhshrink hardshrink softshrink threshold rrelu tanh sigmoid acos
asin acosh asinh atanh exp exp2 expm1 log log1p log2 log10 sqrt rsqrt reciprocal square pow rpow
abs sin cos tan atan sinh cosh erf erfc erfinv lgamma digamma sinc i0 entr frac deg2rad rad2deg
nan_to_num sgn float_power clamp clamp_min clamp_max logit sign floor ceil round trunc
""".split()
_WITH_OUTPUT = frozenset({*ELEMENTWISE, "div", "linalg_solve", "linalg_solve_triangular"})
_CLOSE = {torch.float64: 1e-6}
_CLOSE_OTHERWISE = 1e-4


def recording(tape: Tape, watch: Watch | None = None) -> RuleMode:
    """A forward pass for the baseline, noted on a tape."""
    steps = partial(note_step, tape=tape)
    return RuleMode(recording_rules(tape), steps, tape.note_number, watch)


def replaying(tape: Tape, losses: Losses | None = None) -> RuleMode:
    """A forward pass for the input whose gradients are multipliers."""
    tape.losses = losses
    steps = partial(step, tape=tape)
    return RuleMode(replaying_rules(tape), steps, tape.compare_number, losses)


def recording_rules(tape: Tape) -> dict[str, Rule]:
    """Rules that compute what is asked and take notes."""

    def note(call: Call) -> Any:
        output = call.function(*call.args, **call.kwargs)
        tape.write(call, output, keep=call.name in _WITH_OUTPUT)
        return output

    return {**dict.fromkeys(_rules(tape), note), "detach": alias}


def replaying_rules(tape: Tape) -> dict[str, Rule]:
    """Rules that give the multipliers, from notes on the baseline's pass."""

    def with_reference(rule: ReferenceRule) -> Rule:
        return lambda call: rule(call, *tape.read(call))

    rules = {name: with_reference(rule) for name, rule in _rules(tape).items()}
    return {**rules, "detach": alias}


ReferenceRule = Callable[[Call, list[Tensor], Any], Any]


def alias(call: Call) -> Tensor:
    """y = x: a difference goes on where a model stops the gradient."""
    (x,) = call.operands
    return x.view_as(x)


def rescale(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """m = Δy / Δx, elementwise; where Δx vanishes, y' in the middle."""
    if len(call.operands) > 1:
        # A power with both the base and the exponent given by the model: y = exp(log(x) p).
        raise NotImplementedError(f"{call.name!r} of two operands that depend on the embeddings")
    (x,), (x_0,) = call.operands, reference
    y = call.of(x.detach())
    change = x.detach() - x_0
    scale = torch.maximum(x.detach().abs(), x_0.abs())
    close = change.abs() <= _CLOSE.get(x.dtype, _CLOSE_OTHERWISE) * scale
    quotient = (y - output) / torch.where(close, torch.ones_like(change), change)
    middle = ((x.detach() + x_0) / 2).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(call.of(middle).sum(), middle)
    # √ has no slope at 0, and where both passes are there, nothing changes.
    return attach(y, x * torch.where(close, slope.nan_to_num(0, 0, 0), quotient))


def product(call: Call, reference: list[Tensor], tape: Tape) -> Tensor:
    """Δ(ab) = b̄ Δa + ā Δb, ā and b̄ the means of both passes: each factor gets its Shapley share.

    Where b = 1/√v, as in norms that a model writes out, ab is a quotient and treated as such: b̄ is
    2 b b⁰ / (b + b⁰), the inverse of the mean of √v, and ā is (a b + a⁰ b⁰) / (b + b⁰). A baseline
    of hardly any norm has a huge b⁰, and with plain means large terms would cancel.
    """
    a, b, *more = call.operands
    if more:
        raise NotImplementedError(f"{call.name!r} of more than two operands")
    a_0, b_0 = reference
    with torch.no_grad():
        y = call.function(*call.args, **call.kwargs)
    a_mean, b_mean = (a.detach() + a_0) / 2, (b.detach() + b_0) / 2
    if call.name == "mul" and tape.is_inverse(a) != tape.is_inverse(b):
        if tape.is_inverse(a):
            b_mean, a_mean = _means_of_quotient(b.detach(), b_0, a.detach(), a_0)
        else:
            a_mean, b_mean = _means_of_quotient(a.detach(), a_0, b.detach(), b_0)
    surrogate = call.of(a, b_mean) + call.of(a_mean, b)
    bias = call.of(torch.zeros_like(a), torch.zeros_like(b)) if "conv" in call.name else 0
    return attach(y, surrogate - bias)


def _means_of_quotient(a: Tensor, a_0: Tensor, b: Tensor, b_0: Tensor) -> tuple[Tensor, Tensor]:
    total = b + b_0
    return (a * b + a_0 * b_0) / total, 2 * b * b_0 / total


def quotient(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """Δ(a/b) = Δa / b̄ - ȳ Δb / b̄ with b̄ and ȳ the means of both passes: exact, and as large as
    the quotients themselves even where one pass divides by nearly nothing."""
    y = call.function(*(_plain(arg) for arg in call.args), **call.kwargs)
    references = iter(reference)
    a, b = call.args
    _, b_0 = (next(references) if depends(arg) else arg for arg in (a, b))
    b_mean, y_mean = (b.detach() + b_0) / 2, (y + output) / 2
    surrogate = -y_mean / b_mean * b
    return attach(y, surrogate + a / b_mean if depends(a) else surrogate.expand_as(y))


def _plain(arg: Any) -> Any:
    return arg.detach() if isinstance(arg, Tensor) else arg


def solution(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y = a⁻¹ b: ā Δy + Δa ȳ = Δb, ā and ȳ the means of both passes."""
    references = iter(reference)
    a, b = call.args[:2]
    a_0, _ = (next(references) if depends(one) else one for one in (a, b))
    y = call.function(*map(_plain, call.args), **call.kwargs)
    if y.dim() != b.dim() or not call.kwargs.get("left", True):
        raise NotImplementedError(f"{call.name!r} from the right, or for a vector")
    a_own = a.detach()
    if call.name == "linalg_solve_triangular":
        # What is on the other side of the diagonal is not looked at, nor a diagonal of ones.
        a, a_own, a_0 = (_looked_at(one, call.kwargs) for one in (a, a_own, a_0))
    right = b - a @ ((y + output) / 2)
    if not depends(b):
        right = right - b
    return attach(y, torch.linalg.solve((a_own + a_0) / 2, right))


def _looked_at(a: Tensor, kwargs: Any) -> Tensor:
    unit = bool(kwargs.get("unitriangular", False))
    part = a.triu(int(unit)) if kwargs["upper"] else a.tril(-int(unit))
    return part + torch.eye(a.shape[-1], dtype=a.dtype, device=a.device) if unit else part


def _power(call: Call, reference: list[Tensor], output: Tensor, tape: Tape) -> Tensor:
    """y = xᵖ; with p = -1/2 what comes of it divides."""
    exponent = call.args[1] if len(call.args) > 1 else call.kwargs.get("exponent")
    y = rescale(call, reference, output)
    if call.name == "rsqrt" or (isinstance(exponent, float) and exponent == -0.5):
        tape.note_inverse(y)
    return y


_RULES: dict[str, ReferenceRule] = {
    **dict.fromkeys(ELEMENTWISE, rescale),
    "div": quotient,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "logsumexp": log_sum_exp,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "max": maximum,
    "amax": maximum,
    **dict.fromkeys(("topk", "sort", "kthvalue", "median", "mode", "cummax"), chosen),
    **dict.fromkeys(("linalg_solve", "linalg_solve_triangular"), solution),
}


def _rules(tape: Tape) -> dict[str, ReferenceRule]:
    def of_product(call: Call, reference: list[Tensor], output: Any) -> Tensor:
        return product(call, reference, tape)

    return {
        **_RULES,
        "product": of_product,
        **dict.fromkeys(("pow", "rsqrt"), partial(_power, tape=tape)),
    }
