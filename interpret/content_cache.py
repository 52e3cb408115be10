"""Things made of a matrix, kept for as long as a matrix of the same content comes again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


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
    """A hash of a matrix's numbers and shape."""
    numbers = matrix.detach().cpu().contiguous().view(torch.uint8).numpy()
    digest = hashlib.blake2b(numbers.data, digest_size=16)
    return f"{tuple(matrix.shape)} {matrix.dtype} {digest.hexdigest()}"
