"""Random directions around an instance's embeddings, and how wide these are."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any

import torch
from torch import Tensor

from .embedding_space import EmbeddingSpace

Draw = Callable[..., Tensor]
"""As `torch.randn`: of a shape and a generator random numbers."""

# torch.randn fills whole groups of so many numbers one after the other; what is left over, it draws
# again with those before. So blocks of whole groups have the numbers that all at once have.
_GROUP = 16
# Numbers of a block, unless one sample has more: 1 MiB.
_BLOCK = 1 << 18
# Up to so many numbers are kept, 32 MiB; of more, those that were asked for last.
_KEPT = 1 << 23


class Noise:
    """Random numbers for copies of instances, drawn for each as if it were alone, as they are
    asked for: a block of samples of an instance at a time.

    The numbers are those that one call of `draw` gives for all samples of an instance's embedding
    call, call after call, from a generator of the seed. Nobody else's random state changes.

    Args:
        space: The instances.
        samples: Copies of each instance.
        seed: Seed of the generator.
        width: What the numbers of each instance are multiplied by, `(instances,)`.
        draw: Draws them.
    """

    def __init__(
        self, space: EmbeddingSpace, samples: int, seed: int, width: Tensor, draw: Draw
    ) -> None:
        self._layout = space.layout
        self._instances, self._size = space.embeddings.shape
        self._width = width
        self._samples = samples
        self._draw = draw
        group = _GROUP // gcd(_GROUP, *(call.dim for call in space.layout.calls))
        self._most = group * max(_BLOCK // max(group * self._size, 1), 1)
        self._blocks = max(samples // self._most, 1)
        self._generator = torch.Generator()
        # Per instance, where the generator stands before each of its draws, as far as it is known.
        start = self._generator.manual_seed(seed).get_state()
        self._states = [[start] for _ in range(self._instances)]
        self._keeps_all = self._instances * samples * self._size <= _KEPT
        self._kept: dict[tuple[int, int], Tensor] = {}

    def at(self, rows: Tensor, samples: Tensor) -> Tensor:
        """The noise of some copies, `(copies, size)`, zero at padding.

        Args:
            rows: The instance of each, `(copies,)`.
            samples: Which of its samples each is, `(copies,)`.
        """
        pairs = list(zip(rows.tolist(), samples.tolist(), strict=True))
        last = self._blocks - 1
        places = [(row, min(sample // self._most, last)) for row, sample in pairs]
        needed = {place: self._block(*place) for place in dict.fromkeys(places)}
        found = [
            needed[place][sample - place[1] * self._most]
            for place, (_, sample) in zip(places, pairs, strict=True)
        ]
        self._kept = self._kept | needed if self._keeps_all else needed
        noise = torch.stack(found) if found else torch.empty(0, self._size)
        width = self._width[rows.to(self._width.device)]
        return width.unsqueeze(-1) * noise.to(width.device)

    def copies(self, samples: Tensor) -> Tensor:
        """The noise of some samples of all instances, `(samples, instances, size)`."""
        every = torch.arange(self._instances)
        rows, numbers = every.repeat(len(samples)), samples.repeat_interleave(self._instances)
        return self.at(rows, numbers).view(len(samples), self._instances, self._size)

    def _block(self, row: int, block: int) -> Tensor:
        """Samples of an instance, `(samples, size)`."""
        if (row, block) in self._kept:
            return self._kept[row, block]
        noise = torch.zeros(self._count(block), self._size)
        for number, part in enumerate(self._layout.split(noise)):
            draw = number * self._blocks + block
            while len(self._states[row]) <= draw:
                # What stands before it in the generator's stream.
                self._drawn(row, len(self._states[row]) - 1)
            part[:, self._present(row, number)] = self._drawn(row, draw)
        return noise

    def _drawn(self, row: int, draw: int) -> Tensor:
        """What one draw of an instance gives, `(samples, positions, dim)`."""
        number, block = divmod(draw, self._blocks)
        states, positions = self._states[row], int(self._present(row, number).sum())
        shape = self._count(block), positions, self._layout.calls[number].dim
        self._generator.set_state(states[draw])
        own: Any = self._draw(*shape, generator=self._generator)
        if len(states) == draw + 1:
            states.append(self._generator.get_state())
        return own

    def _count(self, block: int) -> int:
        """Samples of a block; the last has what is left over, too."""
        return self._samples - block * self._most if block == self._blocks - 1 else self._most

    def _present(self, row: int, number: int) -> Tensor:
        return self._layout.present[row, self._layout.positions_of(number)]


def standard_normal(space: EmbeddingSpace, samples: int, seed: int, width: Tensor) -> Noise:
    """Normal noise of a standard deviation for each instance; see `Noise`."""
    return Noise(space, samples, seed, width, torch.randn)


def value_range(space: EmbeddingSpace) -> Tensor:
    """max - min of each instance's embeddings, padding left out, `(instances,)`; 0 without any."""
    if space.embeddings.shape[1] == 0:
        return space.embeddings.sum(1)
    present = space.layout.expand(space.layout.present.to(space.device))
    highest = space.embeddings.masked_fill(~present, -torch.inf).amax(1)
    lowest = space.embeddings.masked_fill(~present, torch.inf).amin(1)
    return (highest - lowest).clamp_min(0).nan_to_num(0, 0, 0)
