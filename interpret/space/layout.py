"""Where a token's vector stands among the coordinates of an embedding space.

A point of the space is one flat vector per row: the outputs of all embedding layers, one call
after the other. Methods work on flat vectors, as papers do; this file maps
coordinates to positions, positions to tokens, and tokens to fields.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from allennlp.data import TokenIndexer
from torch import Tensor

from ..errors import InterpretationError
from ..model.embedding_layers import EmbeddingLayer
from ..positions import HELD, PADDING


@dataclass(frozen=True, eq=False)
class EmbeddingCall:
    """One call of an embedding layer.

    Attributes:
        layer: The layer.
        names: The text fields that it embedded.
        indexer: The token indexer whose indices it embedded, None where that is unknown.
        shape: Shape of its output for all instances.
        transposed: Whether the second dimension of the output is the batch, not the first.
        dtype: Floating type of its output.
        device: Where its output is.
        positions: Positions per row, list items and folded segments side by side.
        dim: Size of a position's vector.
        fields: For each position of each instance the text field that it is part of, a place in
            `names`, `(instances, positions)`.
        tokens: The token that it is part of, counted through the field, or `UNASSIGNED`,
            `PADDING` or `HELD`, `(instances, positions)`.
        special: Positions that a tokenizer or indexer adds to every text, `(instances, positions)`.
    """

    layer: EmbeddingLayer
    names: tuple[str, ...]
    indexer: TokenIndexer | None
    shape: tuple[int, ...]
    transposed: bool
    dtype: torch.dtype
    device: torch.device
    positions: int
    dim: int
    fields: Tensor
    tokens: Tensor
    special: Tensor

    @property
    def what(self) -> str:
        """The fields, for messages."""
        return " and ".join(map(repr, self.names))

    @property
    def size(self) -> int:
        """Coordinates per row."""
        return self.positions * self.dim

    def tokens_of(self, name: str) -> Tensor:
        """`tokens` at the positions of one field, `PADDING` elsewhere, `(instances, positions)`."""
        if name not in self.names:
            return torch.full_like(self.tokens, PADDING)
        own = self.fields == self.names.index(name)
        return torch.where(own, self.tokens, PADDING)

    def to_rows(self, output: Tensor) -> Tensor:
        """The layer's output for all instances as `(instances, positions, dim)`."""
        output = output.transpose(0, 1) if self.transposed else output
        return output.reshape(len(self.tokens), self.positions, self.dim)

    def from_rows(self, part: Tensor) -> Tensor:
        """`(rows, positions, dim)` as the layer returns it."""
        width, batch = self.shape[:2] if self.transposed else self.shape[1::-1]
        lead = len(part) * (batch // len(self.tokens))
        output = part.reshape(lead, width, *self.shape[2:])
        return output.transpose(0, 1) if self.transposed else output

    def of_rows(self, rows: Tensor) -> EmbeddingCall:
        """The call as it would be for copies of some of the instances, by their numbers."""
        batch = 1 if self.transposed else 0
        each = self.shape[batch] // len(self.tokens)
        shape = tuple(each * len(rows) if at == batch else n for at, n in enumerate(self.shape))
        fields, tokens, special = (one[rows] for one in (self.fields, self.tokens, self.special))
        return replace(self, shape=shape, fields=fields, tokens=tokens, special=special)

    def word_vectors(self) -> Tensor:
        """The layer's vector of each word, `(words, dim)`.

        That need not be its weight: Gemma's layer scales it by the root of its size, AllenNLP's
        projects it.

        Raises:
            InterpretationError: If the layer is no matrix of word vectors.
        """
        module: Any = self.layer.module
        weight = getattr(module, "weight", None)
        vectors = None
        if isinstance(weight, Tensor) and weight.dim() == 2:
            try:
                with torch.no_grad():
                    vectors = self._embedded(module, weight)
            except Exception:
                # The layer takes something else than word indices.
                vectors = None
        if vectors is None:
            raise InterpretationError(
                f"the embedding layer {type(module).__name__} of {self.what} is no matrix of word "
                "vectors, which this method needs; use a gradient method that does not"
            )
        return vectors

    def _embedded(self, module: Any, weight: Tensor) -> Tensor | None:
        """All words as the layer embeds them; None where a word's vector depends on others."""
        words = torch.arange(len(weight), device=weight.device)
        some = words[:: max(len(words) // 8, 1)]
        together, alone = module(some[None])[0], module(some[:, None])[:, 0]
        fits = together.shape == (len(some), self.dim)
        if not fits or not torch.allclose(together, alone, rtol=1e-4, atol=1e-6):
            return None
        if weight.shape[1] == self.dim and torch.equal(together, weight[some]):
            return weight
        return module(words[None])[0]

    def embed(self, index: int) -> Tensor:
        """The vector that the layer gives one index, `(dim,)`.

        Raises:
            InterpretationError: If the layer does not take a token as one index.
        """
        try:
            with torch.no_grad():
                vector = self.layer.module(torch.tensor([[index]], device=self.device))
                vector = vector[0] if isinstance(vector, tuple) else vector
        except Exception as error:
            raise InterpretationError(
                f"the embedding layer {type(self.layer.module).__name__} of {self.what} "
                "does not embed a token by its index; use the baseline 'zero'"
            ) from error
        return vector.reshape(-1)


@dataclass(frozen=True)
class Layout:
    """All calls of all embedding layers, in the order in which they happen."""

    calls: tuple[EmbeddingCall, ...]

    @cached_property
    def tokens(self) -> Tensor:
        """`EmbeddingCall.tokens` of all calls, `(instances, positions)`."""
        return torch.cat([call.tokens for call in self.calls], dim=1)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The text fields, in the order in which they were embedded."""
        return tuple(dict.fromkeys(name for call in self.calls for name in call.names))

    def tokens_of(self, name: str) -> Tensor:
        """`EmbeddingCall.tokens_of` of all calls, `(instances, positions)`."""
        return torch.cat([call.tokens_of(name) for call in self.calls], dim=1)

    @cached_property
    def special(self) -> Tensor:
        """`EmbeddingCall.special` of all calls, `(instances, positions)`."""
        return torch.cat([call.special for call in self.calls], dim=1)

    @cached_property
    def present(self) -> Tensor:
        """Positions of the input, neither padding nor held, `(instances, positions)`."""
        return self.tokens > PADDING

    @cached_property
    def held(self) -> Tensor:
        """Positions of tokens that are part of what is explained, `(instances, positions)`."""
        return self.tokens == HELD

    @cached_property
    def units(self) -> Tensor:
        """The positions that change together with a token, `(instances, units, positions)`.

        A unit is a token with all its wordpieces, in all calls of its field; a position of no
        token is a unit of its own.
        """
        numbers = torch.full(self.tokens.shape, -1)
        for row in range(len(numbers)):
            known: dict[tuple[str, int], int] = {}
            start = 0
            for call in self.calls:
                places = zip(call.fields[row].tolist(), call.tokens[row].tolist(), strict=True)
                for position, (field, token) in enumerate(places, start):
                    if token > PADDING:
                        unit = (call.names[field], token if token >= 0 else -1 - position)
                        numbers[row, position] = known.setdefault(unit, len(known))
                start += call.positions
        count = int(numbers.max()) + 1 if numbers.numel() else 0
        return numbers.unsqueeze(1) == torch.arange(count).view(1, -1, 1)

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
