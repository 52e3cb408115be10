"""The model as a function of embeddings, around other points than a text's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from ..embedding_space import EmbeddingSpace, Made, Points
from ..layout import Layout
from ..packing import Chunk


class MovedSpace(EmbeddingSpace):
    """Copies of some of a space's instances, at points of their own.

    What a method does at an instance's embeddings it does here at the point of each copy. The model
    is that of the given space, which computes everything.

    Args:
        space: The space.
        rows: The instance that each copy is of, `(copies,)`.
        points: Where the copies are, points of its `at_input_embeddings()`, `(copies, size)`.
    """

    # Not the base class's, which runs the model on the texts.
    def __init__(self, space: EmbeddingSpace, rows: Tensor, points: Tensor) -> None:
        self._space = space
        self._sources = rows
        self._inputs = points
        self._own_rows = torch.arange(len(rows))
        self.instances = [space.instances[row] for row in rows.tolist()]
        self.session, self.target = space.session, space.target
        self.unsaturated_target = space.unsaturated_target
        self.model, self.vocab, self.device = space.model, space.vocab, space.device
        self.rounding, self.tokens_per_row = space.rounding, space.tokens_per_row
        self.mixes_rows = space.mixes_rows
        self.layout = Layout(tuple(call.of_rows(rows) for call in space.layout.calls))
        self.embeddings = self.states_at(points)

    def evaluate(self, points: Points, rows: Tensor) -> Tensor:
        return self._space.evaluate(points, self._sources[rows])

    def values_and_gradients(
        self, points: Points, rows: Tensor, made: Made | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        yield from self._space.values_and_gradients(points, self._sources[rows], made)

    def batches(self, rows: Tensor) -> Iterator[Chunk]:
        return self._space.batches(self._sources[rows])

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
        same = first is self._space
        return self if same else MovedSpace(first, self._sources, self._inputs)

    def states_at(self, embeddings: Tensor) -> Tensor:
        own = self._space.at_input_embeddings().embeddings
        found = []
        for numbers in self._rounds:
            # One copy of an instance at a time.
            rows = self._sources[numbers].to(own.device)
            whole = own.index_copy(0, rows, embeddings[numbers.to(own.device)])
            found.append(self._space.states_at(whole)[rows])
        places = torch.cat(self._rounds).argsort().to(own.device)
        return torch.cat(found)[places]

    @cached_property
    def _rounds(self) -> list[Tensor]:
        """The copies by number, no two of one instance together."""
        seen: Counter[int] = Counter()
        rounds: dict[int, list[int]] = {}
        for number, row in enumerate(self._sources.tolist()):
            rounds.setdefault(seen[row], []).append(number)
            seen[row] += 1
        return [torch.tensor(numbers) for numbers in rounds.values()]

    @property
    def random(self) -> bool:
        return self._space.random


def moved(space: EmbeddingSpace, points: Tensor) -> MovedSpace:
    """Copies of all instances of a space at other points.

    Args:
        space: The space.
        points: Points of its `at_input_embeddings()`, `(copies, instances, size)`.
    """
    rows = torch.arange(points.shape[1]).repeat(len(points))
    return MovedSpace(space, rows, points.flatten(0, 1))
