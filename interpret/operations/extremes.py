"""What is largest or smallest, written out."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def maximum(x: Tensor, y: Tensor) -> Tensor:
    """The larger of two, elementwise."""
    return torch.stack(torch.broadcast_tensors(x, y)).amax(0)


def minimum(x: Tensor, y: Tensor) -> Tensor:
    """The smaller of two, elementwise."""
    return -maximum(-x, -y)


def min_over(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """-max(-x), with the places of the smallest where a dimension is named."""
    found = torch.max(-x, *args, **kwargs)
    if isinstance(found, Tensor):
        return -found
    return torch.return_types.min((-found[0], found[1]))


def amin(x: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """-max(-x)."""
    return -torch.amax(-x, dim, keepdim)


def max_pool1d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The largest of each window."""
    size, step, pad, gap = (
        v[0] if isinstance(v, tuple) else v
        for v in (kernel_size, stride or kernel_size, padding, dilation)
    )
    if gap != 1 or ceil_mode or return_indices:
        raise NotImplementedError("max_pool1d with dilation, ceil_mode or indices")
    x = F.pad(x, (pad, pad), value=torch.finfo(x.dtype).min)
    return x.unfold(-1, size, step).amax(-1)


def max_pool2d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The largest of each window."""
    sizes, steps, pads, gaps = (
        v if isinstance(v, (tuple, list)) else (v, v)
        for v in (kernel_size, stride or kernel_size, padding, dilation)
    )
    if any(gap != 1 for gap in gaps) or ceil_mode or return_indices:
        raise NotImplementedError("max_pool2d with dilation, ceil_mode or indices")
    x = F.pad(x, (pads[1], pads[1], pads[0], pads[0]), value=torch.finfo(x.dtype).min)
    windows = x.unfold(-2, sizes[0], steps[0]).unfold(-2, sizes[1], steps[1])
    return windows.flatten(-2).amax(-1)
