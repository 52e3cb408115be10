"""Random directions around an instance's embeddings, and how wide these are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .embedding_space import EmbeddingSpace

Draw = Callable[..., Tensor]
"""As `torch.randn`: of a shape and a generator random numbers."""


def standard_normal(space: EmbeddingSpace, samples: int, seed: int) -> Tensor:
    """Standard normal noise; see `drawn`."""
    return drawn(space, samples, seed, torch.randn)


def drawn(space: EmbeddingSpace, samples: int, seed: int, draw: Draw) -> Tensor:
    """Random numbers, drawn for each instance as if it were alone.

    Args:
        space: The instances.
        samples: Copies of each instance.
        seed: Seed of the generator; nobody else's random state changes.
        draw: Draws them.

    Returns:
        `(instances, samples, size)`; zero at padding.
    """
    layout = space.layout
    noise = torch.zeros(len(space.embeddings), samples, space.embeddings.shape[1])
    parts = layout.split(noise)
    for row in range(len(noise)):
        generator = torch.Generator().manual_seed(seed)
        for number, call in enumerate(layout.calls):
            present = layout.present[row, layout.positions_of(number)]
            own: Any = draw(samples, int(present.sum()), call.dim, generator=generator)
            parts[number][row][:, present] = own
    return noise.to(space.device)


def value_range(space: EmbeddingSpace) -> Tensor:
    """max - min of each instance's embeddings, padding left out, `(instances,)`; 0 without any."""
    if space.embeddings.shape[1] == 0:
        return space.embeddings.sum(1)
    present = space.layout.expand(space.layout.present.to(space.device))
    highest = space.embeddings.masked_fill(~present, -torch.inf).amax(1)
    lowest = space.embeddings.masked_fill(~present, torch.inf).amin(1)
    return (highest - lowest).clamp_min(0).nan_to_num(0, 0, 0)
