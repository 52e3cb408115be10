"""DeepLIFT's rules for what is chosen by its size: the largest, the first few, the middle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...operations.calls import Call, attach


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


def chosen(call: Call, reference: list[Tensor], output: Any) -> Any:
    """y_k = x at the place c_k, for `topk`, `sort`, `kthvalue` and their like. m is the mean of
    the selections at c and at c⁰, and the rest of Δy is shared out over the row by the secant of
    least norm, m = rest · Δx / ‖Δx‖²."""
    x, x_0 = call.operands[0], reference[0]
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
