"""From a vector per position to a score per token.

Three steps, each with a name in a config: a `Reduction` takes a position's vector to a number,
an `Aggregation` takes the numbers of a token's wordpieces to one, a `Normalization` makes
AllenNLP's `grad_input_M` of the signed scores of an input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from allennlp.common import Registrable
from torch import Tensor

from .positions import PADDING, UNASSIGNED


class Reduction(Registrable):
    """A position's vector as one number."""

    default_implementation = "mean-abs"

    def __call__(self, vectors: Tensor) -> Tensor:
        """Reduces the last dimension: `(…, dim)` to `(…)`."""
        raise NotImplementedError


@Reduction.register("mean-abs")
class MeanAbsolute(Reduction):
    """mean |g|: how strongly a coordinate acts, on average."""

    def __call__(self, vectors: Tensor) -> Tensor:
        return vectors.abs().mean(-1)


@Reduction.register("l1")
class L1Norm(Reduction):
    """‖g‖₁."""

    def __call__(self, vectors: Tensor) -> Tensor:
        return vectors.abs().sum(-1)


@Reduction.register("l2")
class L2Norm(Reduction):
    """‖g‖₂."""

    def __call__(self, vectors: Tensor) -> Tensor:
        return vectors.norm(dim=-1)


@Reduction.register("sum")
class Sum(Reduction):
    """Σ g: keeps the sign, and what the coordinates add up to. Of a bare gradient behind a
    LayerNorm it is zero, whatever the token."""

    def __call__(self, vectors: Tensor) -> Tensor:
        return vectors.sum(-1)


class SplitsPoints(Protocol):
    """What knows which coordinates are of which position: a `Layout`."""

    def split(self, points: Tensor) -> list[Tensor]:
        """Coordinates `(rows, size)` as one `(rows, positions, dim)` per call of a layer."""


def reduce_coordinates(coordinates: Tensor, layout: SplitsPoints, reduction: Reduction) -> Tensor:
    """A number per coordinate, `(rows, size)`, as one per position, `(rows, positions)`."""
    return torch.cat([reduction(part) for part in layout.split(coordinates)], dim=-1)


class Aggregation(Registrable):
    """The scores of the wordpieces of a token as one score."""

    default_implementation = "sum"

    def __call__(self, scores: Tensor, tokens: Tensor, count: int) -> Tensor:
        """Aggregates one instance's scores.

        Args:
            scores: Score per position, `(positions,)`.
            tokens: The token that each position is part of, `(positions,)`, negative for none.
            count: How many tokens there are.

        Returns:
            Score per token, `(count,)`; zero for a token without positions.
        """
        raise NotImplementedError


@Aggregation.register("sum")
class SumOfPieces(Aggregation):
    """What the wordpieces add up to: keeps completeness."""

    def __call__(self, scores: Tensor, tokens: Tensor, count: int) -> Tensor:
        kept = tokens >= 0
        return scores.new_zeros(count).index_add_(0, tokens[kept], scores[kept])


@Aggregation.register("mean")
class MeanOfPieces(Aggregation):
    """The mean over the wordpieces: long words get no more for being long."""

    def __call__(self, scores: Tensor, tokens: Tensor, count: int) -> Tensor:
        sums = SumOfPieces()(scores, tokens, count)
        pieces = SumOfPieces()(torch.ones_like(scores), tokens, count)
        return sums / pieces.clamp_min(1)


def unassigned(scores: Tensor, tokens: Tensor) -> Tensor:
    """What fell on positions that belong to no token: the sum over them, a scalar."""
    return scores[tokens == UNASSIGNED].sum()


def drop_padding(scores: Tensor, tokens: Tensor) -> Tensor:
    """Scores with zeros where there is padding or a held token; `(instances, positions)` both."""
    return scores.masked_fill(tokens <= PADDING, 0)


class Normalization(Registrable):
    """AllenNLP's `grad_input_M`, made of the signed scores of one input."""

    default_implementation = "l1-abs"

    def __call__(self, attributions: Sequence[float]) -> list[float]:
        """As many numbers as there are attributions; zeros where all are zero."""
        raise NotImplementedError


def _divided(scores: Sequence[float], norm: float) -> list[float]:
    return [score / norm if norm else 0.0 for score in scores]


@Normalization.register("l1-abs")
class L1Absolute(Normalization):
    """|s| / Σ|s|: AllenNLP's contract, non-negative and of sum 1."""

    def __call__(self, attributions: Sequence[float]) -> list[float]:
        # Scaled first: sums of the smallest floats would underflow, of the largest overflow.
        largest = max(map(abs, attributions), default=0.0)
        scaled = _divided([abs(score) for score in attributions], largest)
        return _divided(scaled, sum(scaled))


@Normalization.register("l1")
class L1Signed(Normalization):
    """s / Σ|s|: as `l1-abs`, with the sign."""

    def __call__(self, attributions: Sequence[float]) -> list[float]:
        sizes = L1Absolute()(attributions)
        signed = zip(sizes, attributions, strict=True)
        return [size if score >= 0 else -size for size, score in signed]


@Normalization.register("max-abs")
class MaxAbsolute(Normalization):
    """s / max|s|: the strongest token is 1 or -1."""

    def __call__(self, attributions: Sequence[float]) -> list[float]:
        return _divided(attributions, max(map(abs, attributions), default=0.0))


@Normalization.register("none")
class NoNormalization(Normalization):
    """The attributions as they are."""

    def __call__(self, attributions: Sequence[float]) -> list[float]:
        return list(attributions)
