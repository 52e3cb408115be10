"""Noise that a test knows, in the place of what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from allennlp_saliency.interpret.space.noise import Noise


class GivenNoise(Noise):
    """Numbers that are given.

    Args:
        numbers: `(instances, samples, size)`.
        width: What those of each instance are multiplied by, `(instances,)`.
    """

    # Not the base class's, which draws.
    def __init__(self, numbers: Tensor, width: Tensor) -> None:
        self.numbers = numbers
        self._instances, _, self._size = numbers.shape
        self._own_width = width

    def at(self, rows: Tensor, samples: Tensor) -> Tensor:
        return self._own_width[rows].unsqueeze(-1) * self.numbers[rows, samples]


def given_noise(numbers: Tensor) -> Callable[..., GivenNoise]:
    """What takes the place of `Noise` and of `standard_normal`."""

    def made(space: Any, samples: int, seed: int, width: Tensor, *draw: Any) -> GivenNoise:
        return GivenNoise(numbers, width)

    return made


def all_at_once(space: Any, samples: int, seed: int, draw: Any = torch.randn) -> Tensor:
    """All numbers of `Noise` of width 1 as one call for each embedding call gives them,
    `(instances, samples, size)`."""
    layout = space.layout
    noise = torch.zeros(len(space.embeddings), samples, space.embeddings.shape[1])
    parts = layout.split(noise)
    for row in range(len(noise)):
        generator = torch.Generator().manual_seed(seed)
        for number, call in enumerate(layout.calls):
            present = layout.present[row, layout.positions_of(number)]
            own = draw(samples, int(present.sum()), call.dim, generator=generator)
            parts[number][row][:, present] = own
    return noise
