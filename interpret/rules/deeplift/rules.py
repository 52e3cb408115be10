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
    change = x.detach() - x_0
    scale = torch.maximum(x.detach().abs(), x_0.abs())
    close = change.abs() <= _CLOSE.get(x.dtype, _CLOSE_OTHERWISE) * scale
    quotient = (y - reference.output) / torch.where(close, torch.ones_like(change), change)
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
