"""The gradient along a path of points that lie close to real words."""

from __future__ import annotations

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
from .neighbours import STRATEGIES, Neighbours, monotonic_paths


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
