"""DeepLIFT's rules for what is computed over a dimension: softmax and its relatives (the rescale
rule for exp, Σ and log, chained), norms (what divides changes with what is divided), and what is
chosen by its size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...operations.calls import Call
from ..surrogates import attach
from ..watch import Reference
from .rules import DEEPLIFT_RULES


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
    return attach(log_p, x - (weights * _finite(x)).sum(dim, keepdim=True))


@DEEPLIFT_RULES.register("softmax", {"softmax"})
def softmax(call: Call, reference: Reference) -> Tensor:
    """y = exp(log softmax x): the rescale rule for exp on top of that for the log-softmax."""
    x, dim = _operand_and_dim(call)
    weights, log_p, log_p_0 = _log_sum(x.detach(), reference.operands[0].to(x.dtype), dim)
    p, p_0 = log_p.exp(), log_p_0.exp()
    m = log_mean(p, p_0, (log_p - log_p_0).nan_to_num(0, 0, 0))
    finite = _finite(x)
    return attach(p, m * (finite - (weights * finite).sum(dim, keepdim=True)))


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
    x, x_0 = call.operands[0], reference.operands[0]
    dims = tuple(range(-len(named["shape"]), 0))
    centred, centred_0 = (s - s.mean(dims, keepdim=True) for s in (x, x_0))
    y = _normalised(centred, centred_0, dims, named.get("eps", 1e-5))
    return attach(call.of(x.detach()), y if named.get("weight") is None else y * named["weight"])


@DEEPLIFT_RULES.register("rms-norm", {"rms_norm"})
def rms_norm(call: Call, reference: Reference) -> Tensor:
    """y = x r with r = 1/√(mean(x²) + ε), then weight."""
    named = call.named("x", "shape", "weight", "eps")
    x, x_0 = call.operands[0], reference.operands[0]
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
