"""The integral of the gradient along straight paths, as exactly as one asks for.

What a panel of the path must add up to is known: the difference of the target at its ends. So
it is also known which panels are too coarse, and only those are cut; a path on which a saturated
model changes its mind within a hair's breadth needs its many points there alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...reduction import Sum, reduce_coordinates
from ...space.embedding_space import EmbeddingSpace

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quadrature:
    """A rule for one panel, and how [0, 1] is cut into panels.

    Attributes:
        nodes: Points of a panel, as shares of its width, `(nodes,)`.
        weights: Their weights, of sum 1, `(nodes,)`.
        panels: Panels of equal width to begin with.
        parts: How many panels a panel is cut into where it is too coarse: so many that as many
            points as possible serve again.
    """

    nodes: Floats
    weights: Floats
    panels: int
    parts: int = 2

    def edges(self) -> Floats:
        """The first panels, `(panels, 2)`."""
        cuts = np.linspace(0, 1, self.panels + 1)
        return np.stack([cuts[:-1], cuts[1:]], axis=1)

    def points(self, edges: Floats) -> Floats:
        """The points of some panels, `(panels, nodes)`."""
        return edges[:, :1] + (edges[:, 1:] - edges[:, :1]) * self.nodes

    def cut(self, edges: Floats) -> Floats:
        """Panels, `(panels, 2)`, each cut into parts, `(panels · parts, 2)`."""
        shares = np.linspace(0, 1, self.parts + 1)
        cuts = edges[:, :1] + (edges[:, 1:] - edges[:, :1]) * shares
        return np.stack([cuts[:, :-1], cuts[:, 1:]], axis=2).reshape(-1, 2)


def gauss_legendre(steps: int, panels: int = 1) -> Quadrature:
    """So many points a panel, exact for polynomials of degree 2 · steps - 1."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return Quadrature((nodes + 1) / 2, weights / 2, panels)


def boole(steps: int) -> Quadrature:
    """Five evenly spaced points a panel, the ends shared: cut in two, a panel loses none."""
    weights = np.array([7, 32, 12, 32, 7]) / 90
    return Quadrature(np.linspace(0, 1, 5), weights, panels=max((steps - 1) // 4, 1))


RULES: dict[str, Callable[[int], Quadrature]] = {
    "gauss-legendre": gauss_legendre,
    "boole": boole,
    # The middle of the middle third of a panel is the middle of the panel.
    "midpoint": lambda steps: Quadrature(np.array([0.5]), np.ones(1), steps, parts=3),
    "trapezoid": lambda steps: Quadrature(np.arange(2.0), np.full(2, 0.5), max(steps - 1, 1)),
    # AllenNLP's rule.
    "left": lambda steps: Quadrature(np.zeros(1), np.ones(1), steps),
    "right": lambda steps: Quadrature(np.ones(1), np.ones(1), steps),
}


_BITS = 45
_NARROWEST = 1e-12
# As wide as a point in single precision, and where the path starts as wide as the narrowest panels.
_POINT = 1e-6
_NARROW_AT_START = 2e-12
# The share of a path where a gradient is another function's; jumps of the target are in less.
_PART = 0.5


class StraightPath:
    """The straight path from a baseline to one instance's embeddings, and what is known of it.

    Attributes:
        edges: Its panels, `(panels, 2)`.
        scores: (x - x') · g at each point that was evaluated, by position, `(positions,)`.
        values: The target at each point where it is known.
    """

    def __init__(self, edges: Floats) -> None:
        self.edges = edges
        self.scores: dict[float, Tensor] = {}
        self.values: dict[float, float] = {}

    def integrals(self, rule: Quadrature) -> Tensor:
        """What each panel contributes, by position, `(panels, positions)`."""
        points = rounded(rule.points(self.edges))
        scores = torch.stack([self.scores[alpha] for alpha in points.ravel().tolist()])
        widths = torch.from_numpy(self.edges[:, 1] - self.edges[:, 0])
        weights = torch.from_numpy(rule.weights)[None] * widths[:, None]
        return torch.einsum("pn,pnt->pt", weights, scores.unflatten(0, points.shape).double())

    def errors(self, rule: Quadrature) -> Floats:
        """What each panel lacks of the difference of the target at its ends, `(panels,)`."""
        ends = np.vectorize(self.values.__getitem__)(rounded(self.edges))
        return ends[:, 1] - ends[:, 0] - self.integrals(rule).sum(1).numpy()


class StraightPaths:
    """The paths of all instances of a space.

    Args:
        space: The instances.
        baseline: Where their paths begin, `(instances, size)`.
        rule: The rule for the integral.

    Attributes:
        baseline_values: The target there, `(instances,)`.
    """

    def __init__(self, space: EmbeddingSpace, baseline: Tensor, rule: Quadrature) -> None:
        self._space = space
        self._baseline = baseline
        self._rule = rule
        self._direction = space.embeddings - baseline
        self._paths = [StraightPath(rule.edges()) for _ in range(len(baseline))]
        self._walk(range(len(baseline)))
        at_start = np.zeros(1)
        self._evaluate(
            [(row, 0.0) for row, path in enumerate(self._paths) if missing(at_start, path.values)]
        )
        starts = [path.values[0.0] for path in self._paths]
        self.baseline_values = torch.tensor(starts, dtype=torch.float64)

    @property
    def steps(self) -> list[int]:
        """Per instance how many points the gradient was evaluated at."""
        return [len(path.scores) for path in self._paths]

    def scores(self) -> Tensor:
        """(x - x') · ∫ g, by position, `(instances, positions)`."""
        return torch.stack([path.integrals(self._rule).sum(0) for path in self._paths])

    def refine(self, tolerances: Tensor, max_steps: int) -> list[bool]:
        """Cuts panels until what they lack adds up, without regard to sign, to no more than a
        tolerance.

        Args:
            tolerances: Per instance, in units of the target, `(instances,)`.
            max_steps: Points per instance at which to give up.

        Returns:
            Per instance whether the tolerance was reached.
        """
        for path, end in zip(self._paths, self._space.values.tolist(), strict=True):
            path.values[1.0] = end
        reached = [False] * len(self._paths)
        left = list(range(len(self._paths)))
        while left:
            paths = [(row, self._paths[row]) for row in left]
            self._evaluate(
                [(row, alpha) for row, path in paths for alpha in missing(path.edges, path.values)]
            )
            left = []
            for row, path in paths:
                errors = path.errors(self._rule)
                coarse = coarse_panels(path.edges, errors, float(tolerances[row]))
                reached[row] = coarse is None
                if coarse is None:
                    continue
                edges = cut_panels(self._rule, path.edges, errors, coarse, path.scores, max_steps)
                if edges is not None:
                    path.edges = edges
                    left.append(row)
            self._walk(left)
        return reached

    def lacking(self) -> list[float]:
        """Per instance what the panels of its path lack, added up without regard to sign."""
        return [float(np.abs(path.errors(self._rule)).sum()) for path in self._paths]

    def jumps(self) -> list[tuple[float, float, float] | None]:
        """Where the target jumps along each path, if it does: its height, its place and the width
        of the panel that it is in.

        A panel over which F is smooth lacks the less the narrower it is; one that is narrower than
        points can be told apart and still lacks most of what the path does has a jump in it.
        """
        return [_jump(path, path.errors(self._rule)) for path in self._paths]

    def contradicted(self) -> list[bool]:
        """Per instance whether the gradient is not that of the target: whether most of what the
        panels lack is in such as have the gradient almost constant, over a part of the path.

        What F changes by over a panel is its width times the derivative somewhere in it. A rule
        with one point a panel does not show how constant the gradient is.
        """
        return [_contradicted(path, self._rule, 4 * self._space.rounding) for path in self._paths]

    def _points(self, rows: Tensor, alphas: Tensor, numbers: Tensor) -> Tensor:
        at = rows[numbers]
        alpha = alphas[numbers].to(self._baseline).unsqueeze(-1)
        return torch.addcmul(self._baseline[at], alpha, self._direction[at])

    def _walk(self, which: Sequence[int]) -> None:
        """Evaluates the gradient where panels of some instances lack it."""
        todo = [
            (row, alpha)
            for row, path in ((row, self._paths[row]) for row in which)
            for alpha in missing(self._rule.points(path.edges), path.scores)
        ]
        rows, alphas = _columns(todo)

        def scored(numbers: Tensor, g: Tensor) -> Tensor:
            return reduce_coordinates(
                self._direction[rows[numbers]] * g, self._space.layout, Sum()
            ).cpu()

        for numbers, values, scores in self._space.values_and_gradients(
            lambda numbers: self._points(rows, alphas, numbers), rows, scored
        ):
            known = [None] * len(numbers) if values is None else values.tolist()
            for number, score, value in zip(numbers.tolist(), scores, known, strict=True):
                row, alpha = todo[number]
                self._paths[row].scores[alpha] = score
                if value is not None:
                    self._paths[row].values[alpha] = value

    def _evaluate(self, todo: list[tuple[int, float]]) -> None:
        """Evaluates the target at points of some instances."""
        rows, alphas = _columns(todo)
        values = self._space.evaluate(lambda numbers: self._points(rows, alphas, numbers), rows)
        for (row, alpha), value in zip(todo, values.tolist(), strict=True):
            self._paths[row].values[alpha] = value


def rounded(alphas: Floats) -> Floats:
    """The same points by the same numbers, also where they were come by differently."""
    mantissas, exponents = np.frexp(alphas)
    return np.ldexp(np.round(np.ldexp(mantissas, _BITS)), exponents - _BITS)


def missing(points: Floats, known: Container[float]) -> list[float]:
    """Those of some points of a path, of any shape, that are not known, each once."""
    each = dict.fromkeys(rounded(points).ravel().tolist())
    return [alpha for alpha in each if alpha not in known]


def coarse_panels(edges: Floats, errors: Floats, tolerance: float) -> NDArray[np.bool_] | None:
    """The panels to cut: the fewest without which the rest lack at most half of the tolerance.
    None where there is nothing to improve."""
    sizes = np.abs(errors)
    if sizes.sum() <= tolerance:
        return None
    coarse = edges[:, 1] - edges[:, 0] > _NARROWEST
    if not np.isfinite(sizes).all():
        # No cut makes up for a gradient that overflows.
        return np.zeros_like(coarse)
    smallest_first = np.argsort(sizes)
    coarse[smallest_first[np.cumsum(sizes[smallest_first]) <= tolerance / 2]] = False
    return coarse


def cut_panels(
    rule: Quadrature,
    edges: Floats,
    errors: Floats,
    coarse: NDArray[np.bool_],
    known: Collection[float],
    max_steps: int,
) -> Floats | None:
    """The panels of a path with those cut that are too coarse, or as many of the worst as there are
    steps left for.

    Args:
        rule: The rule.
        edges: The panels, `(panels, 2)`.
        errors: What each lacks, `(panels,)`.
        coarse: Those to cut, `(panels,)`.
        known: The points that were evaluated.
        max_steps: How many there may be.

    Returns:
        None where none was cut.
    """
    left = max_steps - len(known)
    wanted = len(missing(rule.points(rule.cut(edges[coarse])), known))
    if wanted > left:
        coarse = _worst(errors, coarse, int(coarse.sum()) * max(left, 0) // wanted)
    if not coarse.any():
        return None
    return np.concatenate([edges[~coarse], rule.cut(edges[coarse])])


def _worst(errors: Floats, coarse: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Of the panels to cut those that lack most."""
    chosen = np.zeros_like(coarse)
    sizes = np.where(coarse, np.abs(errors), -1.0)
    chosen[np.argsort(-sizes)[: min(count, int(coarse.sum()))]] = True
    return chosen


def _jump(path: StraightPath, errors: Floats) -> tuple[float, float, float] | None:
    worst = int(np.abs(errors).argmax())
    start, end = path.edges[worst]
    width = float(end - start)
    narrow = width <= max(_POINT * end, _NARROW_AT_START)
    if not narrow or not abs(errors[worst]) >= np.abs(errors).sum() / 2:
        return None
    return float(errors[worst]), float(start), width


def _contradicted(path: StraightPath, rule: Quadrature, rounding: float) -> bool:
    errors, widths = np.abs(path.errors(rule)), path.edges[:, 1] - path.edges[:, 0]
    points = rounded(rule.points(path.edges))
    slopes = np.vectorize(lambda alpha: float(path.scores[alpha].sum()))(points)
    spread = slopes.max(1) - slopes.min(1)
    noise = rounding * max(map(abs, path.values.values()))
    other = (errors > 10 * spread * widths) & (errors > noise)
    shows = points.shape[1] > 1 and widths[other].sum() > _PART
    return bool(shows and errors[other].sum() > errors.sum() / 2)


def _columns(pairs: list[tuple[int, float]]) -> tuple[Tensor, Tensor]:
    rows = torch.tensor([row for row, _ in pairs], dtype=torch.long)
    return rows, torch.tensor([alpha for _, alpha in pairs], dtype=torch.float64)
