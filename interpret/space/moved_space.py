"""The model as a function of embeddings, around other points than a text's own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from .embedding_space import EmbeddingSpace, Made, Points
from .layout import Layout
from .packing import Chunk


class MovedSpace(EmbeddingSpace):
    """Copies of a space's instances whose own points are others than those of their texts.

    What a method does at an instance's embeddings it does here at the moved ones. The model is that
    of the given space, which computes everything.

    Args:
        space: The space.
        points: Where the copies are, points of its `at_input_embeddings()`, `(copies, instances,
            size)`.
    """

    # Not the base class's, which runs the model on the texts.
    def __init__(self, space: EmbeddingSpace, points: Tensor) -> None:
        self._space = space
        self._inputs = points
        count = len(points)
        self._sources = torch.arange(len(space.instances)).repeat(count)
        self._own_rows = torch.arange(len(self._sources))
        self.instances = [*space.instances] * count
        self.session, self.target = space.session, space.target
        self.unsaturated_target = space.unsaturated_target
        self.model, self.vocab, self.device = space.model, space.vocab, space.device
        self.rounding, self.tokens_per_row = space.rounding, space.tokens_per_row
        self.mixes_rows = space.mixes_rows
        self.layout = Layout(tuple(call.copies(count) for call in space.layout.calls))
        self.embeddings = self.states_at(points.flatten(0, 1))

    def evaluate(self, points: Points, rows: Tensor) -> Tensor:
        return self._space.evaluate(points, self._sources[rows])

    def values_and_gradients(
        self, points: Points, rows: Tensor, made: Made | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        yield from self._space.values_and_gradients(points, self._sources[rows], made)

    def batches(self, rows: Tensor) -> Iterator[Chunk]:
        return self._space.batches(rows)

    def leaf_and_values(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self._space.leaf_and_values(points, self._sources[rows])

    def gradient(self, values: Tensor, leaf: Tensor) -> Tensor:
        return self._space.gradient(values, leaf)

    @cached_property
    def input_gradients(self) -> Tensor:
        whole = torch.empty_like(self.embeddings)
        values = torch.empty(len(whole), dtype=torch.float64)
        known = True
        for numbers, own, gradients in self.values_and_gradients(self.embeddings, self._own_rows):
            whole[numbers.to(self.device)] = gradients
            known = known and own is not None
            if own is not None:
                values[numbers] = own
        if known:
            # The same forward passes gave them.
            self.values = values
        return whole

    def at_input_embeddings(self) -> EmbeddingSpace:
        first = self._space.at_input_embeddings()
        return self if first is self._space else MovedSpace(first, self._inputs)

    def states_at(self, embeddings: Tensor) -> Tensor:
        parts = embeddings.split(len(self._space.instances))
        return torch.cat([self._space.states_at(part) for part in parts])

    @property
    def random(self) -> bool:
        return self._space.random
