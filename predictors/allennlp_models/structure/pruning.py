"""Pruning by scores that holds at every point what it kept at the input.

Which items are among the best `k` jumps as embeddings change. A method that looks at the model at
other points than the input would see another choice at each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_NAMES = (torch.topk, Tensor.topk)


class Pruning(TorchFunctionMode):
    """Takes note of what `topk` chooses, or lets it choose again what is known.

    Args:
        rows: How many rows the batch has.
        known: For each row what to choose at each call, the indices of one row flattened; None to
            take note only.

    Attributes:
        active: Whether calls are those that prune.
        chosen: What was chosen at each call, `(rows, indices of one row)`.
    """

    def __init__(self, rows: int, known: Sequence[Sequence[Any]] | None = None) -> None:
        super().__init__()
        self.active = False
        self.chosen: list[Tensor] = []
        self._rows = rows
        self._known = known

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if not self.active or func not in _NAMES:
            return found
        values, indices = found
        known = self._known_indices(indices)
        if known is not None:
            values, indices = args[0].gather(-1, known), known
        self.chosen.append(indices.reshape(self._rows, -1))
        return values, indices

    def _known_indices(self, like: Tensor) -> Tensor | None:
        """What to choose at this call, None where it has not as many items as that."""
        if self._known is None:
            return None
        call = len(self.chosen)
        own = [np.asarray(row[call]) for row in self._known if call < len(row)]
        if sum(one.size for one in own) != like.numel():
            return None
        return torch.from_numpy(np.concatenate(own)).to(like).reshape(like.shape)
