"""DeepLIFT's rescale rule for every operation of a transformer.

Each operation y(x) is given multipliers m with Σ m Δx = Δy, where Δ is the difference between the
pass of the input and that of the baseline; chained, they give Σ m Δe = ΔF for the embeddings e
(Shrikumar, Greenside and Kundaje 2017, "Learning Important Features Through Propagating Activation
Differences", equations 1 to 3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .calls import Call, attach, depends
from .mode import Rule, operand_and_dim

ELEMENTWISE = """
relu relu6 gelu silu mish elu selu celu leaky_relu prelu hardtanh hardswish hardsigmoid softplus
softsign logsigmoid log_sigmoid tanhshrink hardshrink softshrink threshold rrelu tanh sigmoid
exp exp2 expm1 log log1p log2 log10 sqrt rsqrt reciprocal square pow rpow abs sin cos tan atan
sinh cosh asinh erf erfc clamp clamp_min clamp_max logit sign floor ceil round trunc
""".split()
_WITH_OUTPUT = frozenset({*ELEMENTWISE, "div"})
_CLOSE = {torch.float64: 1e-6}
_CLOSE_OTHERWISE = 1e-4


class OtherPathError(RuntimeError):
    """The model took another way for the input than for the baseline."""


@dataclass
class Tape:
    """What the operations were given in the baseline's pass, in their order."""

    entries: list[tuple[str, list[Tensor], Any]] = field(default_factory=list)
    position: int = 0

    def write(self, call: Call, output: Any) -> None:
        """Notes the operands of a call, and what it returned."""
        operands = [operand.detach().clone() for operand in call.operands]
        # A copy, of what rules ask for: the model may go on to change it in place.
        noted = output.detach().clone() if call.name in _WITH_OUTPUT else None
        self.entries.append((call.name, operands, noted))

    def read(self, call: Call) -> tuple[list[Tensor], Any]:
        """The operands of the same call in the baseline's pass, and what it returned.

        Raises:
            OtherPathError: If there it was another call.
        """
        operands = call.operands
        if self.position < len(self.entries):
            name, noted, output = self.entries[self.position]
            self.position += 1
            if name == call.name and [x.shape for x in noted] == [x.shape for x in operands]:
                return noted, output
        raise _other_path(f"{call.name!r} where it called something else for the baseline")

    def close(self) -> None:
        """After the input's pass.

        Raises:
            OtherPathError: If it left out what the baseline's pass did last.
        """
        if self.position < len(self.entries):
            raise _other_path(f"no {self.entries[self.position][0]!r} as it did for the baseline")


def _other_path(what: str) -> OtherPathError:
    return OtherPathError(
        f"the model calls {what}: which operations it runs depends on the embeddings, and their "
        "differences from a baseline have no meaning; use integrated gradients"
    )


def recording_rules(tape: Tape) -> dict[str, Rule]:
    """Rules that compute what is asked and take notes."""

    def note(call: Call) -> Any:
        output = call.function(*call.args, **call.kwargs)
        tape.write(call, output)
        return output

    return dict.fromkeys(RULES, note)


def replaying_rules(tape: Tape) -> dict[str, Rule]:
    """Rules that give the multipliers, from notes on the baseline's pass."""

    def with_reference(rule: ReferenceRule) -> Rule:
        return lambda call: rule(call, *tape.read(call))

    return {name: with_reference(rule) for name, rule in RULES.items()}


ReferenceRule = Callable[[Call, list[Tensor], Any], Any]


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


def inverse_root(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """As any elementwise function; what comes of it divides."""
    y = rescale(call, reference, output)
    y.divides = True  # type: ignore[attr-defined]
    return y


def product(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
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
    if call.name == "mul" and hasattr(a, "divides") != hasattr(b, "divides"):
        if hasattr(a, "divides"):
            b_mean, a_mean = _means_of_quotient(b.detach(), b_0, a.detach(), a_0)
        else:
            a_mean, b_mean = _means_of_quotient(a.detach(), a_0, b.detach(), b_0)
    return attach(y, call.of(a, b_mean) + call.of(a_mean, b))


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


def log_mean(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """(p - q) / (log p - log q), the logarithmic mean: between p and q, zero where both are.

    Written as max(p, q) (1 - e⁻ᵘ) / u with u = |log p - log q|: p - q has rounding errors that
    log p - log q has not.
    """
    u = log_ratio.abs()
    same = u == 0
    share = torch.where(same, 1, -torch.expm1(-u) / torch.where(same, 1, u))
    return torch.maximum(p, q) * share


@dataclass(frozen=True)
class _LogSum:
    """log Σ exp x in both passes, and how it is shared out.

    The rescale rule for exp and log gives w_j = L(e^x_j, e^x⁰_j) / L(S, S⁰), L the logarithmic
    mean and S the sums. L is concave and homogeneous, so the weights are positive and add up to
    at most 1, however far apart the passes are.

    Attributes:
        weights: w.
        log_p: x - log Σ exp x; the largest is taken away first, so that no digits are lost.
        log_p_0: The same for the baseline.
    """

    weights: Tensor
    log_p: Tensor
    log_p_0: Tensor

    @classmethod
    def of(cls, x: Tensor, x_0: Tensor, dim: int) -> _LogSum:
        (log_p, top, rest), (log_p_0, top_0, rest_0) = (_log_shares(s, dim) for s in (x, x_0))
        shift = (top - top_0) + (rest - rest_0)
        up, down = ((s - shift.abs()) / 2 for s in (shift, -shift))
        change = (x - x_0).nan_to_num(0, 0, 0)
        of_each = log_mean((log_p + up).exp(), (log_p_0 + down).exp(), change)
        return cls(of_each / log_mean(up.exp(), down.exp(), shift), log_p, log_p_0)


def _log_shares(x: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    top = x.amax(dim, keepdim=True)
    top = top.masked_fill(top.isinf(), 0)
    rest = (x - top).exp().sum(dim, keepdim=True).log()
    return x - top - rest, top, rest


def log_softmax(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y_i = x_i - log Σ exp x."""
    x, dim = operand_and_dim(call)
    sums = _LogSum.of(x.detach(), reference[0].to(x.dtype), dim)
    return attach(sums.log_p, x - (sums.weights * _finite(x)).sum(dim, keepdim=True))


def softmax(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y = exp(log softmax x): the rescale rule for exp on top of that for the log-softmax."""
    x, dim = operand_and_dim(call)
    sums = _LogSum.of(x.detach(), reference[0].to(x.dtype), dim)
    p, p_0 = sums.log_p.exp(), sums.log_p_0.exp()
    m = log_mean(p, p_0, (sums.log_p - sums.log_p_0).nan_to_num(0, 0, 0))
    finite = _finite(x)
    return attach(p, m * (finite - (sums.weights * finite).sum(dim, keepdim=True)))


def log_sum_exp(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y = log Σ exp x."""
    x, dim = operand_and_dim(call)
    sums = _LogSum.of(x.detach(), reference[0], dim)
    keepdim = call.kwargs.get("keepdim", call.args[2] if len(call.args) > 2 else False)
    return attach(call.of(x.detach()), (sums.weights * _finite(x)).sum(dim, keepdim=keepdim))


def _finite(x: Tensor) -> Tensor:
    # What is masked has weight 0, and 0 · inf would be NaN.
    return x.masked_fill(x.detach().isinf(), 0)


def layer_norm(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y = c r with c = x - mean(x), r = 1/√(mean(c²) + ε), then weight and bias."""
    named = dict(zip(("x", "shape", "weight", "bias", "eps"), call.args, strict=False))
    named.update(call.kwargs)
    x, x_0 = call.operands[0], reference[0]
    dims = tuple(range(-len(named["shape"]), 0))
    centred, centred_0 = (s - s.mean(dims, keepdim=True) for s in (x, x_0))
    y = _normalised(centred, centred_0, dims, named.get("eps", 1e-5))
    return attach(call.of(x.detach()), y if named.get("weight") is None else y * named["weight"])


def rms_norm(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y = x r with r = 1/√(mean(x²) + ε), then weight."""
    named = dict(zip(("x", "shape", "weight", "eps"), call.args, strict=False))
    named.update(call.kwargs)
    x, x_0 = call.operands[0], reference[0]
    dims = tuple(range(-len(named["shape"]), 0))
    eps = named.get("eps")
    y = _normalised(x, x_0, dims, torch.finfo(x.dtype).eps if eps is None else eps)
    return attach(call.of(x.detach()), y if named.get("weight") is None else y * named["weight"])


def _normalised(c: Tensor, c_0: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """Multipliers of y = c r, r = 1/√(mean(c²) + ε).

    Δr = -r² r⁰² / (r + r⁰) · mean((c + c⁰) Δc), and Δ(c r) = 2 r r⁰ / (r + r⁰) Δc
    + (y + y⁰) / (r + r⁰) Δr. Of the ways to share a product this one keeps all terms as small as
    the outputs: a baseline of nearly no variance has a huge r⁰.
    """
    own = c.detach()
    r, r_0 = ((s.square().mean(dims, keepdim=True) + eps).rsqrt() for s in (own, c_0))
    r_change = -(r * r_0).square() / (r + r_0) * ((own + c_0) * c).mean(dims, keepdim=True)
    return 2 * r * r_0 / (r + r_0) * c + (own * r + c_0 * r_0) / (r + r_0) * r_change


def maximum(call: Call, reference: list[Tensor], output: Any) -> Any:
    """Δ max x = (y* - y⁰) at the input's largest + (y - y*) at the baseline's, y* = max(y, y⁰)."""
    x, x_0 = call.operands[0], reference[0]
    y = call.of(x.detach())
    named = dict(zip(("x", "dim", "keepdim"), call.args, strict=False))
    named.update(call.kwargs)
    dim = named.get("dim")
    if isinstance(dim, (tuple, list)):
        if len(dim) > 1:
            raise NotImplementedError("amax over several dimensions")
        dim = dim[0] if dim else None
    values = y if isinstance(y, Tensor) else y[0]
    flat, flat_0 = (x, x_0) if dim is not None else (x.flatten(), x_0.flatten())
    over = -1 if dim is None else dim
    top, top_0 = (s.detach().max(over, keepdim=True) for s in (flat, flat_0))
    highest = torch.maximum(top.values, top_0.values)
    surrogate = torch.zeros_like(top.values)
    for share, at in ((highest - top_0.values, top.indices), (top.values - highest, top_0.indices)):
        change = (flat.detach() - flat_0).gather(over, at)
        m = torch.where(change == 0, torch.zeros_like(share), share / change)
        surrogate = surrogate + m * flat.gather(over, at)
    # Where nothing changed at the largest, its gradient.
    unchanged = (flat.detach() == flat_0).gather(over, top.indices)
    still = unchanged & (top.indices == top_0.indices)
    surrogate = surrogate + still * flat.gather(over, top.indices)
    attached = attach(values, surrogate.reshape(values.shape))
    return attached if isinstance(y, Tensor) else type(y)((attached, y[1]))


def power(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y = xᵖ; with p = -1/2 it divides."""
    exponent = call.args[1] if len(call.args) > 1 else call.kwargs.get("exponent")
    half = isinstance(exponent, float) and exponent == -0.5
    return (inverse_root if half else rescale)(call, reference, output)


RULES: dict[str, ReferenceRule] = {
    **dict.fromkeys(ELEMENTWISE, rescale),
    "rsqrt": inverse_root,
    "pow": power,
    "product": product,
    "div": quotient,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "logsumexp": log_sum_exp,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "max": maximum,
    "amax": maximum,
}
