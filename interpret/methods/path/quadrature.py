"""Rules for an integral over [0, 1]: some points in every panel, weighted and summed."""

from __future__ import annotations

from collections.abc import Callable
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


def gauss_legendre(steps: int) -> Quadrature:
    """One panel, exact for polynomials of degree 2 · steps - 1."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return Quadrature((nodes + 1) / 2, weights / 2, panels=1)


def boole(steps: int) -> Quadrature:
    """Five evenly spaced points a panel, the ends shared: cut in two, a panel loses none."""
    weights = np.array([7, 32, 12, 32, 7]) / 90
    return Quadrature(np.linspace(0, 1, 5), weights, panels=max((steps - 1) // 4, 1))


def midpoint(steps: int) -> Quadrature:
    """The middle of each panel; the middle of the middle third is the same point."""
    return Quadrature(np.array([0.5]), np.ones(1), panels=steps, parts=3)


def trapezoid(steps: int) -> Quadrature:
    """Both ends of each panel."""
    return Quadrature(np.array([0.0, 1.0]), np.array([0.5, 0.5]), panels=max(steps - 1, 1))


def left(steps: int) -> Quadrature:
    """The left end of each panel: AllenNLP's rule."""
    return Quadrature(np.zeros(1), np.ones(1), panels=steps)


def right(steps: int) -> Quadrature:
    """The right end of each panel."""
    return Quadrature(np.ones(1), np.ones(1), panels=steps)


RULES: dict[str, Callable[[int], Quadrature]] = {
    "gauss-legendre": gauss_legendre,
    "boole": boole,
    "midpoint": midpoint,
    "trapezoid": trapezoid,
    "left": left,
    "right": right,
}
