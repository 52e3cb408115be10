"""What is largest or smallest, written out."""

from __future__ import annotations

from collections.abc import Callable
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


def _max_pool(dims: int) -> Callable[..., Tensor]:
    """The largest of each window of the last dimensions."""

    def max_pool(
        x: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor:
        sizes, steps, pads, gaps = (
            v if isinstance(v, (tuple, list)) else (v,) * dims
            for v in (kernel_size, stride or kernel_size, padding, dilation)
        )
        if any(gap != 1 for gap in gaps) or ceil_mode or return_indices:
            raise NotImplementedError(f"max_pool{dims}d with dilation, ceil_mode or indices")
        around = [pad for pad in reversed(pads) for _ in range(2)]
        x = F.pad(x, around, value=torch.finfo(x.dtype).min)
        for size, step in zip(sizes, steps, strict=True):
            x = x.unfold(-dims, size, step)
        return x.flatten(-dims).amax(-1)

    return max_pool


max_pool1d, max_pool2d = _max_pool(1), _max_pool(2)
