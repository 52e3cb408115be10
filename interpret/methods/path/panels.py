"""Panels of [0, 1], and which of them a rule for integrals has to cut."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
