"""DeepLIFT's rule for norms: what divides changes with what is divided."""

from __future__ import annotations

import torch
from torch import Tensor

from ...operations.calls import Call, attach


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
