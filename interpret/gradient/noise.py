"""Noise around an embedding that is the same in whatever batch an instance comes."""

from __future__ import annotations

import torch
from torch import Tensor

from ..embedding_space import EmbeddingSpace


def standard_normal(space: EmbeddingSpace, samples: int, seed: int) -> Tensor:
    """Standard normal noise, drawn for each instance as if it were alone.

    Args:
        space: The instances.
        samples: Noisy copies per instance.
        seed: Seed of the generator; nobody else's random state changes.

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
            drawn = torch.randn(samples, int(present.sum()), call.dim, generator=generator)
            parts[number][row][:, present] = drawn
    return noise.to(space.device)


def value_range(space: EmbeddingSpace) -> Tensor:
    """max - min of each instance's embeddings, padding left out, `(instances,)`."""
    present = space.layout.expand(space.layout.present.to(space.device))
    highest = space.embeddings.masked_fill(~present, -torch.inf).amax(1)
    lowest = space.embeddings.masked_fill(~present, torch.inf).amin(1)
    return (highest - lowest).clamp_min(0).nan_to_num(0, 0, 0)
