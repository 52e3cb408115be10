"""Embedded texts, and how several of them become the one sequence that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Embedded:
    """Vectors of tokens, padded.

    Attributes:
        vectors: `(rows, positions, dim)`; further dimensions after the rows are possible.
        mask: Which positions hold a token, `(rows, positions)`.
        type_ids: Which text a token is of, as the model was trained, `(rows, positions)`.
    """

    vectors: Tensor
    mask: Tensor
    type_ids: Tensor

    @property
    def lengths(self) -> Tensor:
        """Tokens of each row, `(rows,)`."""
        return self.mask.sum(-1)

    def each(self, count: int) -> Embedded:
        """The same for each of several items of a row, `(rows, count, positions, …)`."""
        return Embedded(
            self.vectors.unsqueeze(1).expand(-1, count, -1, -1),
            self.mask.unsqueeze(1).expand(-1, count, -1),
            self.type_ids.unsqueeze(1).expand(-1, count, -1),
        )


def joined(parts: Sequence[Embedded], left: bool = False) -> Embedded:
    """One sequence per row, without padding in between.

    Args:
        parts: The texts, in order.
        left: Whether padding goes before the tokens and not behind them.
    """
    vectors = torch.cat([part.vectors for part in parts], dim=-2)
    mask = torch.cat([part.mask for part in parts], dim=-1)
    type_ids = torch.cat([part.type_ids for part in parts], dim=-1)
    if bool(mask.all()):
        return Embedded(vectors, mask, type_ids)
    order = torch.argsort((mask if left else ~mask).long(), dim=-1, stable=True)
    longest = max(int(mask.sum(-1).max()), 1)
    order = order[..., -longest:] if left else order[..., :longest]
    each = order.unsqueeze(-1).expand(*order.shape, vectors.shape[-1])
    return Embedded(vectors.gather(-2, each), mask.gather(-1, order), type_ids.gather(-1, order))
