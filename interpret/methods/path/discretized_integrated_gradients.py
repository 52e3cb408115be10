"""The gradient along a path of points that lie close to real words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...interpreter.assembly import Attribution
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import Sum, reduce_coordinates
from ...space.baselines import Baseline
from ...space.embedding_space import EmbeddingSpace
from ..content_cache import ContentCache
from .baseline_method import BaselineMethod

Strategy = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Cost of each candidate for the next anchor, from the candidates `(words, candidates, dim)`, the
same made monotonic, and where they are monotonic already."""

_SPARE = 8
_CHUNK_BYTES = 2**26


STRATEGIES: dict[str, Strategy] = {
    # How far an anchor has to be moved to be monotonic, and in how many dimensions it is not.
    "greedy": lambda anchors, moved, monotonic: (anchors - moved).norm(dim=-1),
    "maxcount": lambda anchors, moved, monotonic: (~monotonic).sum(-1).to(anchors.dtype),
}


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
        if self._count:
            unknown = words[self._nearest[words, 0] < 0].unique()
            for some in unknown.split(256):
                self._nearest[some] = self._closest(self.matrix[some], self._count, some)
        return self._nearest[words]

    def closest(self, vectors: Tensor) -> Tensor:
        """The word whose vector is closest to each of some vectors `(vectors, dim)`."""
        # Baselines are the same everywhere, mostly.
        different, place = vectors.float().unique(dim=0, return_inverse=True)
        return self._closest(different, 1, None)[:, 0][place]

    def _closest(self, vectors: Tensor, count: int, own: Tensor | None) -> Tensor:
        """The words closest to vectors, `(vectors, count)`, without each vector's own: |w|² - 2 v w
        is quick but rounds, so a few more are looked at and their distances computed exactly."""
        distances = self._squares - 2 * vectors @ self.matrix.T
        if own is not None:
            distances[torch.arange(len(own)), own] = torch.inf
        most = len(self.matrix) - (own is not None)
        found = distances.topk(min(count + _SPARE, most), largest=False, dim=-1).indices
        # In the order of their numbers, so that of equal words the first counts.
        found = found.sort(-1).values
        rows = max(_CHUNK_BYTES // (found.shape[1] * vectors.shape[1] * 8), 1)
        order = [
            (self.matrix[some].double() - at.double().unsqueeze(1)).norm(dim=-1)
            for some, at in zip(found.split(rows), vectors.split(rows), strict=True)
        ]
        nearest = torch.cat(order).argsort(dim=-1, stable=True)[:, :count]
        return found.gather(1, nearest)


def monotonic_paths(
    words: Tensor, baselines: Tensor, neighbours: Neighbours, steps: int, strategy: Strategy
) -> Tensor:
    """Paths from words to baselines through the words' neighbours (section 3.2 of the paper), as
    its code and inseq build them.

    From a word the path goes on to the neighbour that costs least, seen from that word, and that it
    has not been at; the point there is the neighbour, made monotonic (see `make_monotonic`) as
    seen from the last point. Where there is no such neighbour, the path goes to the baseline and
    stays there.

    Args:
        words: Where the paths end, `(paths, dim)`.
        baselines: Where they begin, `(paths, dim)`.
        neighbours: The neighbour graph of the embedding matrix.
        steps: Points on a path after its first.
        strategy: The cost of a neighbour.

    Returns:
        `(steps + 1, paths, dim)`, from the baselines to the words; each dimension of each path is
        monotonic.
    """
    matrix, points = neighbours.matrix, steps + 1
    z, end = words.float(), baselines.float()
    word, goal = neighbours.closest(z), neighbours.closest(end)
    # A baseline that is no word bars none.
    goal = torch.where((matrix[goal] == end).all(-1), goal, -1)
    arrived = word == goal
    visited = [goal, word]
    path = [z]
    for _ in range(steps - 1):
        candidates = neighbours.of(word)
        anchors = matrix[candidates]
        moved, monotonic = make_monotonic(
            matrix[word].unsqueeze(1), end.unsqueeze(1), anchors, points
        )
        seen = (candidates.unsqueeze(-1) == torch.stack(visited, -1).unsqueeze(1)).any(-1)
        cost = strategy(anchors, moved, monotonic).masked_fill(seen, torch.inf)
        arrived = arrived | seen.all(-1)
        if candidates.shape[1]:
            best = candidates.gather(1, cost.argmin(-1, keepdim=True)).squeeze(1)
            word = torch.where(arrived, word, best)
        z, _ = make_monotonic(z, end, torch.where(arrived.unsqueeze(-1), end, matrix[word]), points)
        visited.append(word)
        path.append(z)
    path.append(end)
    return torch.stack(path[::-1]).to(words.dtype)


def make_monotonic(
    z: Tensor, baseline: Tensor, anchors: Tensor, points: int
) -> tuple[Tensor, Tensor]:
    """Anchors, moved to where a step from z towards a baseline may lead (equation 6).

    Args:
        z: Where the step begins, `(…, dim)`.
        baseline: Where the path leads, `(…, dim)`.
        anchors: Words, `(…, dim)`.
        points: Points on the path: a dimension in which an anchor is not between the two goes
            1/points of the way from z to the baseline instead.

    Returns:
        The moved anchors, and where nothing had to be moved, both `(…, dim)`.
    """
    between = (torch.minimum(z, baseline) <= anchors) & (anchors <= torch.maximum(z, baseline))
    return torch.where(between, anchors, z - (z - baseline) / points), between


@SaliencyInterpreter.register("discretized-integrated-gradients")
class DiscretizedIntegratedGradients(BaselineMethod):
    """score_t = Σ_k g_t(z_k) · (z_{k+1} - z_k)_t, z_0 = e', …, z_n = e: words between the two,
    moved as little as makes the path monotonic in every dimension.

    Sanyal and Ren 2021, "Discretized Integrated Gradients for Explaining Language Models",
    arXiv 2108.13654, equations 3 to 6. The scores are inseq's with `n_steps` = steps + 1 (the ends
    of the path are counted there). The sum approaches F(x) - F(x') as `factor` grows; what it lacks
    is the convergence delta.

    Args:
        predictor: The predictor whose predictions are explained.
        steps: Points on the path after the baseline, n.
        strategy: Which neighbour of a word comes next: "greedy" (the one that has to be moved
            least) or "maxcount" (the one that is monotonic in most dimensions), seen from the word.
        neighbours: How many nearest words are looked at for the next.
        factor: Into how many pieces each step is cut, on a straight line between the words.
        baseline: As in `BaselineMethod`; best a word, since the path leads through words.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If the strategy is unknown or a number no positive integer.
    """

    bound_to_text = "its path leads from word to word"

    def __init__(
        self,
        predictor: Predictor,
        steps: int = 32,
        strategy: str = "greedy",
        neighbours: int = 50,
        factor: int = 1,
        baseline: Baseline | str | dict[str, Any] | list[Any] = "pad-or-zero",
        **common: Any,
    ) -> None:
        super().__init__(predictor, baseline, **common)
        self.steps = checks.integer("steps", steps, least=1)
        self.strategy = checks.choice("strategy", strategy, STRATEGIES)
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.factor = checks.integer("factor", factor, least=1)
        self._graphs: ContentCache[Neighbours] = ContentCache(
            lambda matrix: Neighbours(matrix, self.neighbours)
        )

    @property
    def n_evaluations(self) -> int:
        return self.steps * self.factor

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        z = _cut(self.paths(space, baseline), self.factor)
        n = self.n_evaluations
        rows = torch.arange(len(z)).repeat_interleave(n)

        def points(numbers: Tensor) -> Tensor:
            return z[rows[numbers], numbers % n]

        def products(numbers: Tensor, g: Tensor) -> Tensor:
            row, k = rows[numbers], numbers % n
            return (z[row, k + 1] - z[row, k]) * g

        total = torch.zeros_like(baseline)
        for numbers, some in space.gradients(points, rows, products):
            total.index_add_(0, rows[numbers].to(z.device), some)
        scores = reduce_coordinates(total, space.layout, Sum())
        values = space.evaluate(baseline, torch.arange(len(z)))
        remedy = f"raise factor (now {self.factor}), or use 'integrated-gradients'"
        return Attribution(scores, values, remedies=[remedy] * len(z))

    def paths(self, space: EmbeddingSpace, baseline: Tensor) -> Tensor:
        """z_0, …, z_n for each instance, `(instances, steps + 1, size)`."""
        layout = space.layout
        graph_of = cache(self._graphs)
        parts = []
        for number, (x, start) in enumerate(
            zip(layout.split(space.embeddings), layout.split(baseline), strict=True)
        ):
            graph = graph_of(space.layout.calls[number].word_vectors())
            ends = x.flatten(0, 1), start.flatten(0, 1)
            path = monotonic_paths(*ends, graph, self.steps, STRATEGIES[self.strategy])
            parts.append(path.unflatten(1, x.shape[:2]).transpose(0, 1))
        return layout.join(parts)


def _cut(paths: Tensor, factor: int) -> Tensor:
    """Paths `(instances, points, size)` with `factor` straight pieces for each of theirs."""
    if factor == 1:
        return paths
    shares = torch.arange(factor, device=paths.device).view(1, 1, -1, 1).to(paths) / factor
    starts, ends = paths[:, :-1].unsqueeze(2), paths[:, 1:].unsqueeze(2)
    return torch.cat([torch.lerp(starts, ends, shares).flatten(1, 2), paths[:, -1:]], dim=1)
