"""Paths from word to word among the nearest neighbours in an embedding matrix."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Strategy = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Cost of each candidate for the next anchor, from the candidates `(words, candidates, dim)`, what
they become when made monotonic, and where they are monotonic already."""


def greedy(anchors: Tensor, moved: Tensor, monotonic: Tensor) -> Tensor:
    """How far an anchor has to be moved."""
    return (anchors - moved).norm(dim=-1)


def maxcount(anchors: Tensor, moved: Tensor, monotonic: Tensor) -> Tensor:
    """In how many dimensions an anchor is not monotonic."""
    return (~monotonic).sum(-1).to(anchors.dtype)


STRATEGIES: dict[str, Strategy] = {"greedy": greedy, "maxcount": maxcount}


class Neighbours:
    """The nearest words of words, found when first asked for and kept.

    Args:
        matrix: The word vectors, `(words, dim)`.
        count: Neighbours per word, the word itself left out.

    Attributes:
        matrix: The word vectors, `(words, dim)`.
    """

    def __init__(self, matrix: Tensor, count: int) -> None:
        # A copy: the cache that keeps this goes by what the matrix holds now.
        self.matrix = matrix.detach().clone().float()
        self._count = min(count, len(matrix) - 1)
        self._nearest = torch.full((len(matrix), self._count), -1, device=matrix.device)
        self._squares = self.matrix.square().sum(-1)

    def of(self, words: Tensor) -> Tensor:
        """The nearest words of some words, `(words, count)`, nearest first."""
        unknown = words[self._nearest[words, :1].flatten() < 0].unique() if self._count else words
        for some in unknown.split(256) if self._count else ():
            distances = self._squares - 2 * self.matrix[some] @ self.matrix.T
            distances[torch.arange(len(some)), some] = torch.inf
            self._nearest[some] = distances.topk(self._count, largest=False, dim=-1).indices
        return self._nearest[words]

    def closest(self, vectors: Tensor) -> Tensor:
        """The word whose vector is closest to each of some vectors `(vectors, dim)`."""
        # Baselines are the same everywhere, mostly.
        different, place = vectors.float().unique(dim=0, return_inverse=True)
        distances = self._squares - 2 * different @ self.matrix.T
        return distances.argmin(-1)[place]


def monotonic_paths(
    words: Tensor, baselines: Tensor, neighbours: Neighbours, steps: int, strategy: Strategy
) -> Tensor:
    """Paths from baselines to words through the words' neighbours.

    From a word z the path goes on to the cheapest of the neighbours of the last word on it that
    it has not been at; where that is not between z and the baseline, in some dimension, it takes
    1/steps of the way there instead (equation 6 of the paper).

    Args:
        words: Where the paths end, `(paths, dim)`.
        baselines: Where they begin, `(paths, dim)`.
        neighbours: The neighbour graph of the embedding matrix.
        steps: Points on a path after its beginning.
        strategy: The cost of a neighbour.

    Returns:
        `(steps + 1, paths, dim)`, from the baselines to the words; each dimension of each path is
        monotonic.
    """
    last = neighbours.closest(words)
    goal = neighbours.closest(baselines)
    visited = [last]
    z = words.float()
    end = baselines.float()
    path = [z]
    for _ in range(steps - 1):
        candidates = neighbours.of(last)
        anchors = neighbours.matrix[candidates]
        moved, monotonic = make_monotonic(z.unsqueeze(1), end.unsqueeze(1), anchors, steps)
        cost = strategy(anchors, moved, monotonic)
        barred = (candidates.unsqueeze(-1) == torch.stack([*visited, goal], -1).unsqueeze(1)).any(
            -1
        )
        cost = cost.masked_fill(barred, torch.inf)
        best = cost.argmin(-1, keepdim=True)
        # Nowhere to go but the baseline: a straight step.
        stuck = cost.gather(1, best).isinf()
        straight = z - (z - end) / steps
        next_z = moved.gather(1, best.unsqueeze(-1).expand(-1, -1, z.shape[-1])).squeeze(1)
        z = torch.where(stuck, straight, next_z)
        last = torch.where(stuck.squeeze(1), last, candidates.gather(1, best).squeeze(1))
        visited.append(last)
        path.append(z)
    path.append(end)
    return torch.stack(path[::-1]).to(words.dtype)


def make_monotonic(
    z: Tensor, baseline: Tensor, anchors: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Anchors, moved to where a step from z towards a baseline may lead.

    Args:
        z: Where the step begins, `(…, dim)`.
        baseline: Where the path leads, `(…, dim)`.
        anchors: Words, `(…, dim)`.
        steps: A dimension in which an anchor is not between the two gets 1/steps of the way.

    Returns:
        The moved anchors, and where nothing had to be moved, both `(…, dim)`.
    """
    between = (anchors - z) * (anchors - baseline) <= 0
    return torch.where(between, anchors, z - (z - baseline) / steps), between
