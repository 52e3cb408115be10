"""The integral of second derivatives along a straight path, as exactly as one asks for.

With z = t³, ∫₀¹ -z ln z H(z) dz is an integral over t without a singularity. What a panel of it
must add up to is known, as for integrated gradients: with p = dF/dz, d(z p)/dz = p + z dᵀH d, and
by parts ∫ -ln z d(z p) is the difference of F - z ln z p at the ends of the panel. So panels that
are too coarse are found with two backward passes a point, and only then is H asked for.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...coalitions.units import Units
from ...errors import InterpretationError
from ...space.embedding_space import EmbeddingSpace
from ..path.path_integral import Floats, Quadrature, coarse_panels, cut_panels, missing, rounded

_POWER = 3


class HessianPath:
    """The straight path from a baseline to one instance's embeddings.

    Args:
        space: The instances.
        row: Which of them.
        baseline: Where the path begins, `(size,)`.
        rule: The rule for the integral over t.
    """

    def __init__(self, space: EmbeddingSpace, row: int, baseline: Tensor, rule: Quadrature) -> None:
        self._space, self._row, self._rule = space, row, rule
        self._baseline = baseline
        self._direction = space.embeddings[row] - baseline
        self._edges = rule.edges()
        # By t the target, dF/dz and dᵀH d there.
        self._known: dict[float, tuple[float, float, float]] = {}

    @property
    def steps(self) -> int:
        """How many points H is asked for at."""
        return len(self._weights())

    def refine(self, tolerance: float, max_steps: int) -> bool:
        """Cuts panels until what they lack adds up, without regard to sign, to no more than a
        tolerance; whether that was reached.

        Args:
            tolerance: In units of the target.
            max_steps: Points at which to give up.
        """
        while True:
            self._measure()
            errors = self._errors()
            coarse = coarse_panels(self._edges, errors, tolerance)
            if coarse is None:
                return True
            edges = cut_panels(self._rule, self._edges, errors, coarse, self._known, max_steps)
            if edges is None:
                return False
            self._edges = edges

    def lacking(self) -> float:
        """What the panels lack, added up without regard to sign."""
        return float(np.abs(self._errors()).sum())

    def gamma(self, units: Units) -> tuple[Tensor, Tensor]:
        """Γ by pairs of units, `(units, units)`, and Σ_j Γ_ij by position, `(positions,)`."""
        weights = self._weights()
        at = torch.tensor(list(weights), dtype=torch.float64)
        measure = torch.tensor(list(weights.values()), dtype=torch.float64)
        gamma = torch.zeros(len(units), len(units), dtype=torch.float64)
        by_position = torch.zeros(len(self._space.layout.tokens[self._row]), dtype=torch.float64)
        for chunk in self._space.batches(self._rows(at)):
            found = None
            with chunk.guard():
                found = self._second(at[chunk.rows] ** _POWER, measure[chunk.rows], units)
            if found is not None:
                gamma += found[0]
                by_position += found[1]
        return gamma, by_position

    def _second(self, z: Tensor, measure: Tensor, units: Units) -> tuple[Tensor, Tensor]:
        """The same of some points, with a weight each."""
        layout = self._space.layout
        owned = units.positions.to(self._baseline)
        with sdpa_kernel(SDPBackend.MATH):
            leaf, _, products = self._products(z)
            first = measure @ products.detach().double().cpu()
            gamma = torch.diag(owned.double().cpu() @ first)
            by_position = first
            for number, mask in enumerate(owned):
                second = _gradient((products * mask).sum(), leaf)
                found = layout.position_sums(self._direction * second).detach().double().cpu()
                weighed = (measure * z) @ found
                by_position = by_position + weighed
                gamma[number] += owned.double().cpu() @ weighed
        return gamma, by_position

    def _products(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A leaf at points, `(points, size)`, the target there and d · g by position, with a
        graph."""
        at = z.to(self._baseline).unsqueeze(-1)
        points = torch.addcmul(self._baseline, at, self._direction)
        leaf, values = self._space.leaf_and_values(points, self._rows(z))
        gradient = _gradient(values.sum(), leaf, create_graph=True)
        return leaf, values, self._space.layout.position_sums(self._direction * gradient)

    def _rows(self, points: Tensor) -> Tensor:
        """The instance of each point, `(points,)`."""
        return torch.full((len(points),), self._row)

    def _measure(self) -> None:
        """Evaluates F, dF/dz and dᵀH d where panels lack them."""
        points = np.concatenate([self._rule.points(self._edges), self._edges], axis=1)
        todo = missing(points, self._known)
        at = torch.tensor(todo, dtype=torch.float64)
        for chunk in self._space.batches(self._rows(at)):
            found = None
            # The fused kernels have no second derivative.
            with chunk.guard(), sdpa_kernel(SDPBackend.MATH):
                leaf, values, products = self._products(at[chunk.rows] ** _POWER)
                second = (_gradient(products.sum(), leaf) * self._direction).sum(-1)
                found = torch.stack([values.detach(), products.detach().sum(-1), second], dim=-1)
            if found is not None:
                numbers = at[chunk.rows].tolist()
                self._known.update(zip(numbers, map(tuple, found.tolist()), strict=True))

    def _errors(self) -> Floats:
        """What each panel lacks of what it must add up to, `(panels,)`."""
        ends = np.array([self._boundary(t) for t in rounded(self._edges).ravel()]).reshape(-1, 2)
        points = rounded(self._rule.points(self._edges))
        inside = np.array([self._integrand(t) for t in points.ravel()]).reshape(points.shape)
        widths = self._edges[:, 1] - self._edges[:, 0]
        return ends[:, 1] - ends[:, 0] - inside @ self._rule.weights * widths

    def _boundary(self, t: float) -> float:
        """-z ln z p + F at a point."""
        value, slope, _ = self._known[t]
        return value - _x_log_x(t**_POWER) * slope

    def _integrand(self, t: float) -> float:
        _, slope, curvature = self._known[t]
        return _density(t) * (slope + t**_POWER * curvature)

    def _weights(self) -> dict[float, float]:
        """By point the weight of the sum over all panels, where it is none it is left out."""
        found: dict[float, float] = {}
        for (start, end), points in zip(
            self._edges.tolist(), rounded(self._rule.points(self._edges)).tolist(), strict=True
        ):
            for t, weight in zip(points, self._rule.weights.tolist(), strict=True):
                found[t] = found.get(t, 0.0) + weight * (end - start) * _density(t)
        return {t: weight for t, weight in found.items() if weight}


def _x_log_x(x: float) -> float:
    return x * float(np.log(x)) if x > 0 else 0.0


def _density(t: float) -> float:
    """-ln z dz/dt."""
    return -(_POWER**2) * t ** (_POWER - 2) * _x_log_x(t)


def _gradient(value: Tensor, leaf: Tensor, create_graph: bool = False) -> Tensor:
    """∂value / ∂leaf; the graph stays."""
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    try:
        (found,) = torch.autograd.grad(
            value, leaf, retain_graph=True, create_graph=create_graph, allow_unused=True
        )
    except RuntimeError as error:
        if "cudnn_rnn" in str(error):
            raise InterpretationError(
                "cuDNN differentiates recurrent layers once only: move the model to the CPU, or "
                "use 'pair-interactions', which needs values only"
            ) from error
        raise InterpretationError(
            f"the model cannot be differentiated twice ({error}); use 'pair-interactions', which "
            "needs values only"
        ) from error
    return torch.zeros_like(leaf) if found is None else found
