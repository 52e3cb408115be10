"""Where a token's vector stands among the coordinates of an embedding space.

A point of the space is one flat vector per row: the outputs of all embedding layers, one call
after the other. Methods work on flat vectors, as papers do; this file maps
coordinates to positions, positions to tokens, and tokens to fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..positions import PADDING


@dataclass(frozen=True)
class CallLayout:
    """One call of an embedding layer.

    Attributes:
        names: The text fields that were embedded.
        positions: Positions per row, list items and folded segments side by side.
        dim: Size of a position's vector.
        fields: For each position of each instance the text field that it is part of, a place in
            `names`, `(instances, positions)`.
        tokens: The token that it is part of, counted through the field, or `UNASSIGNED` or
            `PADDING`, `(instances, positions)`.
        special: Positions that a tokenizer or indexer adds to every text, `(instances, positions)`.
    """

    names: tuple[str, ...]
    positions: int
    dim: int
    fields: Tensor
    tokens: Tensor
    special: Tensor

    def tokens_of(self, name: str) -> Tensor:
        """`tokens` at the positions of one field, `PADDING` elsewhere, `(instances, positions)`."""
        if name not in self.names:
            return torch.full_like(self.tokens, PADDING)
        own = self.fields == self.names.index(name)
        return torch.where(own, self.tokens, PADDING)

    @property
    def size(self) -> int:
        """Coordinates per row."""
        return self.positions * self.dim


@dataclass(frozen=True)
class Layout:
    """All calls of all embedding layers, in the order in which they happen."""

    calls: tuple[CallLayout, ...]

    @cached_property
    def tokens(self) -> Tensor:
        """`CallLayout.tokens` of all calls, `(instances, positions)`."""
        return torch.cat([call.tokens for call in self.calls], dim=1)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The text fields, in the order in which they were embedded."""
        return tuple(dict.fromkeys(name for call in self.calls for name in call.names))

    def tokens_of(self, name: str) -> Tensor:
        """`CallLayout.tokens_of` of all calls, `(instances, positions)`."""
        return torch.cat([call.tokens_of(name) for call in self.calls], dim=1)

    @cached_property
    def special(self) -> Tensor:
        """`CallLayout.special` of all calls, `(instances, positions)`."""
        return torch.cat([call.special for call in self.calls], dim=1)

    @cached_property
    def present(self) -> Tensor:
        """Positions that are not padding, `(instances, positions)`."""
        return self.tokens != PADDING

    @cached_property
    def _dims(self) -> Tensor:
        return torch.cat([torch.full((call.positions,), call.dim) for call in self.calls])

    def split(self, points: Tensor) -> list[Tensor]:
        """Coordinates `(rows, size)` as one `(rows, positions, dim)` per call."""
        parts = points.split([call.size for call in self.calls], dim=-1)
        return [
            part.view(*part.shape[:-1], call.positions, call.dim)
            for part, call in zip(parts, self.calls, strict=True)
        ]

    def join(self, parts: list[Tensor]) -> Tensor:
        """One `(rows, positions, dim)` per call as coordinates `(rows, size)`."""
        flat = [part.reshape(*part.shape[:-2], -1) for part in parts]
        return flat[0] if len(flat) == 1 else torch.cat(flat, dim=-1)

    def expand(self, per_position: Tensor) -> Tensor:
        """A number per position, `(rows, positions)`, as one per coordinate, `(rows, size)`."""
        if len(self.calls) == 1:
            return per_position.repeat_interleave(self.calls[0].dim, dim=-1)
        dims = self._dims.to(per_position.device)
        return per_position.repeat_interleave(dims, dim=-1)

    def position_sums(self, coordinates: Tensor) -> Tensor:
        """A number per coordinate, `(rows, size)`, summed up by position, `(rows, positions)`."""
        return torch.cat([part.sum(-1) for part in self.split(coordinates)], dim=-1)

    def positions_of(self, call: int) -> slice:
        """Where the positions of a call stand among all positions."""
        start = sum(other.positions for other in self.calls[:call])
        return slice(start, start + self.calls[call].positions)
