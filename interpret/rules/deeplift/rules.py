"""DeepLIFT's rescale rule for every operation of a transformer.

Each operation y(x) is given multipliers m with Σ m Δx = Δy, where Δ is the difference between the
pass of the input and that of the baseline; chained, they give Σ m Δe = ΔF for the embeddings e
(Shrikumar, Greenside and Kundaje 2017, "Learning Important Features Through Propagating Activation
Differences", equations 1 to 3).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...operations.calls import Call, depends
from ...operations.kinds import ELEMENTWISE
from ..rule_map import RuleMap
from ..surrogates import attach
from ..watch import Reference

DEEPLIFT_RULES = RuleMap("DeepLIFT")
"""Which operation gets which rule in `deeplift` and `layer-deeplift`; linear operations keep their
gradient."""

_CLOSE = {torch.float64: 1e-6}
_CLOSE_OTHERWISE = 1e-4


def wide(x: Tensor) -> Tensor:
    """In single precision at least, as torch computes norms and softmaxes of sixteen bits: squares
    and quotients of float16 overflow, and differences of bfloat16 have few digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@DEEPLIFT_RULES.register("gradient")
def gradient(call: Call, reference: Reference) -> Any:
    """m = ∂y/∂x: exact for what is linear in its operands."""
    return call.plain()


@DEEPLIFT_RULES.register("rescale", ELEMENTWISE - {"pow", "rsqrt"})
def rescale(call: Call, reference: Reference) -> Tensor:
    """m = Δy / Δx, elementwise; where Δx vanishes, y' in the middle."""
    if len(call.operands) > 1:
        # A power with both the base and the exponent given by the model: y = exp(log(x) p).
        raise NotImplementedError(f"{call.name!r} of two operands that depend on the embeddings")
    (x,), (x_0,) = call.operands, reference.operands
    y = call.of(x.detach())
    change = wide(x.detach()) - wide(x_0)
    scale = torch.maximum(x.detach().abs(), x_0.abs())
    close = change.abs() <= _CLOSE.get(x.dtype, _CLOSE_OTHERWISE) * scale
    quotient = (wide(y) - wide(reference.output)) / torch.where(
        close, torch.ones_like(change), change
    )
    middle = ((x.detach() + x_0) / 2).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(call.of(middle).sum(), middle)
    # √ has no slope at 0, and where both passes are there, nothing changes.
    return attach(y, x * torch.where(close, slope.nan_to_num(0, 0, 0), quotient))


@DEEPLIFT_RULES.register("product", {"product"})
def product(call: Call, reference: Reference) -> Tensor:
    """Δ(ab) = b̄ Δa + ā Δb, ā and b̄ the means of both passes: each factor gets its Shapley share.

    Where b = 1/√v, as in norms that a model writes out, ab is a quotient and treated as such: b̄ is
    2 b b⁰ / (b + b⁰), the inverse of the mean of √v, and ā is (a b + a⁰ b⁰) / (b + b⁰). A baseline
    of hardly any norm has a huge b⁰, and with plain means large terms would cancel.
    """
    a, b, *more = call.operands
    if more:
        raise NotImplementedError(f"{call.name!r} of more than two operands")
    a_0, b_0 = reference.operands
    with torch.no_grad():
        y = call.plain()
    a_mean, b_mean = (a.detach() + a_0) / 2, (b.detach() + b_0) / 2
    inverse = a in reference.inverses, b in reference.inverses
    if call.name == "mul" and inverse[0] != inverse[1]:
        if inverse[0]:
            b_mean, a_mean = _means_of_quotient(b.detach(), b_0, a.detach(), a_0)
        else:
            a_mean, b_mean = _means_of_quotient(a.detach(), a_0, b.detach(), b_0)
    surrogate = call.of(a, b_mean) + call.of(a_mean, b)
    bias = call.of(torch.zeros_like(a), torch.zeros_like(b)) if "conv" in call.name else 0
    return attach(y, surrogate - bias)


def _means_of_quotient(a: Tensor, a_0: Tensor, b: Tensor, b_0: Tensor) -> tuple[Tensor, Tensor]:
    total = b + b_0
    return (a * b + a_0 * b_0) / total, 2 * b * b_0 / total


@DEEPLIFT_RULES.register("quotient", {"div"})
def quotient(call: Call, reference: Reference) -> Tensor:
    """Δ(a/b) = Δa / b̄ - ȳ Δb / b̄ with b̄ and ȳ the means of both passes: exact, and as large as
    the quotients themselves even where one pass divides by nearly nothing."""
    y = call.function(*(_plain(arg) for arg in call.args), **call.kwargs)
    references = iter(reference.operands)
    a, b = call.args
    _, b_0 = (next(references) if depends(arg) else arg for arg in (a, b))
    b_mean, y_mean = (b.detach() + b_0) / 2, (y + reference.output) / 2
    surrogate = -y_mean / b_mean * b
    return attach(y, surrogate + a / b_mean if depends(a) else surrogate.expand_as(y))


def _plain(arg: Any) -> Any:
    return arg.detach() if isinstance(arg, Tensor) else arg


@DEEPLIFT_RULES.register("solution", {"linalg_solve", "linalg_solve_triangular"})
def solution(call: Call, reference: Reference) -> Tensor:
    """y = a⁻¹ b: ā Δy + Δa ȳ = Δb, ā and ȳ the means of both passes."""
    references = iter(reference.operands)
    a, b = call.args[:2]
    a_0, _ = (next(references) if depends(one) else one for one in (a, b))
    y = call.function(*map(_plain, call.args), **call.kwargs)
    if y.dim() != b.dim() or not call.kwargs.get("left", True):
        raise NotImplementedError(f"{call.name!r} from the right, or for a vector")
    a_own = a.detach()
    if call.name == "linalg_solve_triangular":
        # What is on the other side of the diagonal is not looked at, nor a diagonal of ones.
        a, a_own, a_0 = (_looked_at(one, call.kwargs) for one in (a, a_own, a_0))
    right = b - a @ ((y + reference.output) / 2)
    if not depends(b):
        right = right - b
    return attach(y, torch.linalg.solve((a_own + a_0) / 2, right))


def _looked_at(a: Tensor, kwargs: Any) -> Tensor:
    unit = bool(kwargs.get("unitriangular", False))
    part = a.triu(int(unit)) if kwargs["upper"] else a.tril(-int(unit))
    return part + torch.eye(a.shape[-1], dtype=a.dtype, device=a.device) if unit else part


@DEEPLIFT_RULES.register("power", {"pow", "rsqrt"})
def power(call: Call, reference: Reference) -> Tensor:
    """y = xᵖ; with p = -1/2 what comes of it divides."""
    exponent = call.named("x", "exponent").get("exponent")
    y = rescale(call, reference)
    if call.name == "rsqrt" or (isinstance(exponent, float) and exponent == -0.5):
        reference.inverses[y] = True
    return y


def log_mean(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """(p - q) / (log p - log q), the logarithmic mean: between p and q, zero where both are.

    Written as max(p, q) (1 - e⁻ᵘ) / u with u = |log p - log q|: p - q has rounding errors that
    log p - log q has not.
    """
    u = log_ratio.abs()
    same = u == 0
    share = torch.where(same, 1, -torch.expm1(-u) / torch.where(same, 1, u))
    return torch.maximum(p, q) * share


def _log_sum(x: Tensor, x_0: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """How log Σ exp x is shared out, and x - log Σ exp x in both passes.

    The rescale rule for exp and log gives w_j = L(e^x_j, e^x⁰_j) / L(S, S⁰), L the logarithmic
    mean and S the sums. L is concave and homogeneous, so the weights are positive and add up to
    at most 1, however far apart the passes are.
    """
    x, x_0 = wide(x), wide(x_0)
    (log_p, top, rest), (log_p_0, top_0, rest_0) = (_log_shares(s, dim) for s in (x, x_0))
    shift = (top - top_0) + (rest - rest_0)
    up, down = ((s - shift.abs()) / 2 for s in (shift, -shift))
    change = (x - x_0).nan_to_num(0, 0, 0)
    of_each = log_mean((log_p + up).exp(), (log_p_0 + down).exp(), change)
    return of_each / log_mean(up.exp(), down.exp(), shift), log_p, log_p_0


def _log_shares(x: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    # The largest is taken away first, so that no digits are lost.
    top = x.amax(dim, keepdim=True)
    top = top.masked_fill(top.isinf(), 0)
    rest = (x - top).exp().sum(dim, keepdim=True).log()
    return x - top - rest, top, rest


@DEEPLIFT_RULES.register("log-softmax", {"log_softmax"})
def log_softmax(call: Call, reference: Reference) -> Tensor:
    """y_i = x_i - log Σ exp x."""
    x, dim = _operand_and_dim(call)
    weights, log_p, _ = _log_sum(x.detach(), reference.operands[0].to(x.dtype), dim)
    return attach(log_p.to(x.dtype), x - (weights * _finite(x)).sum(dim, keepdim=True))


@DEEPLIFT_RULES.register("softmax", {"softmax"})
def softmax(call: Call, reference: Reference) -> Tensor:
    """y = exp(log softmax x): the rescale rule for exp on top of that for the log-softmax."""
    x, dim = _operand_and_dim(call)
    weights, log_p, log_p_0 = _log_sum(x.detach(), reference.operands[0].to(x.dtype), dim)
    p, p_0 = log_p.exp(), log_p_0.exp()
    m = log_mean(p, p_0, (log_p - log_p_0).nan_to_num(0, 0, 0))
    finite = _finite(x)
    return attach(p.to(x.dtype), m * (finite - (weights * finite).sum(dim, keepdim=True)))


@DEEPLIFT_RULES.register("log-sum-exp", {"logsumexp"})
def log_sum_exp(call: Call, reference: Reference) -> Tensor:
    """y = log Σ exp x."""
    x, dim = _operand_and_dim(call)
    weights, *_ = _log_sum(x.detach(), reference.operands[0], dim)
    keepdim = call.named("x", "dim", "keepdim").get("keepdim", False)
    return attach(call.of(x.detach()), (weights * _finite(x)).sum(dim, keepdim=keepdim))


def _finite(x: Tensor) -> Tensor:
    # What is masked has weight 0, and 0 · inf would be NaN.
    return x.masked_fill(x.detach().isinf(), 0)


def _operand_and_dim(call: Call) -> tuple[Tensor, int]:
    """The operand, in the type that was asked for, and the dimension of a softmax, however they
    were given."""
    x, *rest = call.args
    dim = call.named("x", "dim").get("dim")
    dtypes = (one for one in rest[1:] if isinstance(one, torch.dtype))
    dtype = call.kwargs.get("dtype", next(dtypes, None))
    if dtype is not None:
        x = x.to(dtype)
    if dim is None:
        # What torch.nn.functional takes for granted, with a warning.
        dim = 0 if x.dim() in (0, 1, 3) else 1
    return x, dim


@DEEPLIFT_RULES.register("layer-norm", {"layer_norm"})
def layer_norm(call: Call, reference: Reference) -> Tensor:
    """y = c r with c = x - mean(x), r = 1/√(mean(c²) + ε), then weight and bias."""
    named = call.named("x", "shape", "weight", "bias", "eps")
    x, x_0 = wide(call.operands[0]), wide(reference.operands[0])
    dims = tuple(range(-len(named["shape"]), 0))
    centred, centred_0 = (s - s.mean(dims, keepdim=True) for s in (x, x_0))
    y = _normalised(centred, centred_0, dims, named.get("eps", 1e-5))
    made = call.of(call.operands[0].detach())
    return attach(made, y if named.get("weight") is None else y * named["weight"])


@DEEPLIFT_RULES.register("rms-norm", {"rms_norm"})
def rms_norm(call: Call, reference: Reference) -> Tensor:
    """y = x r with r = 1/√(mean(x²) + ε), then weight."""
    named = call.named("x", "shape", "weight", "eps")
    x, x_0 = call.operands[0], reference.operands[0]
    dims = tuple(range(-len(named["shape"]), 0))
    eps = named.get("eps")
    y = _normalised(wide(x), wide(x_0), dims, torch.finfo(x.dtype).eps if eps is None else eps)
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


@DEEPLIFT_RULES.register("maximum", {"max", "amax"})
def maximum(call: Call, reference: Reference) -> Any:
    """Δ max x = (y* - y⁰) at the input's largest + (y - y*) at the baseline's, y* = max(y, y⁰)."""
    x, x_0 = call.operands[0], reference.operands[0]
    y = call.of(x.detach())
    dim = call.named("x", "dim", "keepdim").get("dim")
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


@DEEPLIFT_RULES.register("choice", {"topk", "sort", "kthvalue", "median", "mode", "cummax"})
def chosen(call: Call, reference: Reference) -> Any:
    """y_k = x at the place c_k, for `topk`, `sort`, `kthvalue` and their like. m is the mean of
    the selections at c and at c⁰, and the rest of Δy is shared out over the row by the secant of
    least norm, m = rest · Δx / ‖Δx‖²."""
    x, x_0 = call.operands[0], reference.operands[0]
    found, found_0 = call.of(x.detach()), call.of(x_0)
    if isinstance(found, Tensor):
        raise NotImplementedError(f"{call.name!r} over all dimensions")
    dim = _dim_of_choice(call)
    places, places_0 = (one[1] for one in (found, found_0))
    lost = places.dim() < x.dim()
    if lost:
        places, places_0 = places.unsqueeze(dim), places_0.unsqueeze(dim)
    surrogate = (x.gather(dim, places) + x.gather(dim, places_0)) / 2
    change = (x.detach() - x_0).nan_to_num(0, 0, 0)
    before = (x_0.gather(dim, places) + x_0.gather(dim, places_0)) / 2
    values, values_0 = (one[0].unsqueeze(dim) if lost else one[0] for one in (found, found_0))
    rest = ((values - values_0) - (surrogate.detach() - before)).nan_to_num(0, 0, 0)
    size = change.square().sum(dim, keepdim=True)
    finite = x.masked_fill(x.detach().isinf(), 0)
    share = (change * finite).sum(dim, keepdim=True) / size.masked_fill(size == 0, 1)
    y = surrogate + rest * share
    return type(found)((attach(found[0], y.squeeze(dim) if lost else y), found[1]))


def _dim_of_choice(call: Call) -> int:
    # `topk` and `kthvalue` are given how many or which one first.
    at = 2 if call.name in ("topk", "kthvalue") else 1
    given = call.args[at] if len(call.args) > at else -1
    return int(call.kwargs.get("dim", given))
