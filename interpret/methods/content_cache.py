"""Things made of a matrix, kept for as long as a matrix of the same content comes again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_ROWS = 512


class ContentCache(Generic[T]):
    """A cache whose keys are the numbers in a matrix, not the name or place that it has.

    Fine-tuning changes a matrix in place and leaves its name: what was made of it before must not
    be served again.

    Args:
        make: Makes the thing of a matrix.
        size: How many things are kept; the one unused for longest goes first.
    """

    def __init__(self, make: Callable[[Tensor], T], size: int = 4) -> None:
        self._make = make
        self._size = size
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, matrix: Tensor) -> T:
        """The thing made of a matrix, `(rows, columns)`."""
        key = fingerprint(matrix)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = self._make(matrix.detach())
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return made


def fingerprint(matrix: Tensor) -> str:
    """A hash of a matrix's numbers and shape, made where the matrix is.

    The bits of each number times a number of its place, added up as integers, which gives the same
    in any order.
    """
    rows = matrix.detach().reshape(len(matrix), -1)
    generator = torch.Generator().manual_seed(0)
    across = _odd(rows.shape[1], generator).to(matrix.device)
    down = _odd(len(rows), generator).to(matrix.device)
    total = torch.zeros((), dtype=torch.long, device=matrix.device)
    kind = _BITS[matrix.element_size()]
    for start in range(0, len(rows), _ROWS):
        bits = rows[start : start + _ROWS].contiguous().view(kind).long()
        marks = (bits * across).sum(-1)
        # High bits to low places, or rows' marks would only ever grow.
        total += ((marks ^ (marks >> 29)) * down[start : start + _ROWS]).sum()
    return f"{tuple(matrix.shape)} {matrix.dtype} {int(total):x}"


def _odd(count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(2**62, (count,), generator=generator) * 2 + 1
