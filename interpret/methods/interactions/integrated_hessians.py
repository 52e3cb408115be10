"""Integrated gradients of integrated gradients: what each pair of tokens adds."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...coalitions.units import units_of
from ...explanation import Interaction, JsonDict
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import unconverged
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...space.embedding_space import EmbeddingSpace
from ..path.baseline_method import BaselineMethod
from ..path.path_integral import gauss_legendre
from .hessian_path import HessianPath

_RELATIVE_TOLERANCE = 0.01
# Points of a panel, and panels to begin with.
_NODES, _PANELS = 6, 3


@SaliencyInterpreter.register("integrated-hessians")
class IntegratedHessians(BaselineMethod):
    """Γ_ij = (e_i - e'_i)ᵀ [∫₀¹∫₀¹ αβ H_ij(x' + αβ (x - x')) dα dβ] (e_j - e'_j).

    To Γ_ii comes (e_i - e'_i) · ∫₀¹∫₀¹ g_i(x' + αβ (x - x')) dα dβ. Complete twice: Σ_j Γ_ij is
    token i's score under integrated gradients, which is its score here, and all of Γ adds up to
    F(x) - F(x').

    Janizek, Sturmfels and Lee 2021, "Explaining Explanations: Axiomatic Feature Interactions for
    Deep Networks", equations 3 to 6. With z = αβ the two integrals are one, ∫₀¹ -z ln z H(z) dz.

    A model whose only nonlinearities are pieces of straight lines (ReLU) has no second derivatives.

    Args:
        predictor: The predictor whose predictions are explained.
        steps: Points of the Gauss-Legendre rule, in ∛z, each with as many backward passes as there
            are tokens. None for as many as the tolerance asks for: panels of the path are cut where
            they lack something, which takes two backward passes a point to see.
        relative_tolerance: Without steps, what the panels may lack, added up without regard to
            sign, as a share of F(x) - F(x'); None for 1 %.
        max_steps: Points per input at which refining stops in any case.
        common: The baseline, and what every interpreter takes; see `BaselineMethod`.

    Raises:
        ConfigurationError: If a number is none, or out of range, or there are both steps and a
            tolerance.
    """

    complete: ClassVar[bool] = True

    def __init__(
        self,
        predictor: Predictor,
        steps: int | None = None,
        relative_tolerance: float | None = None,
        max_steps: int = 512,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        if steps is None and relative_tolerance is None:
            relative_tolerance = _RELATIVE_TOLERANCE
        elif steps is not None and relative_tolerance is not None:
            raise ConfigurationError("give 'steps', or a 'relative_tolerance' that decides on them")
        self.steps = checks.optional_integer("steps", steps, least=1)
        self.relative_tolerance = checks.optional_number(
            "relative_tolerance", relative_tolerance, above=0
        )
        self.max_steps = checks.integer("max_steps", max_steps, least=_NODES * _PANELS)

    @property
    def n_evaluations(self) -> int:
        # Times the number of tokens.
        return (self.steps or 4 * _NODES * _PANELS) * 8

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        scores = torch.zeros(space.layout.tokens.shape, dtype=torch.float64)
        baseline_values = space.evaluate(baseline, torch.arange(len(space.instances)))
        changes = (space.values - baseline_values).tolist()
        interactions, details, warnings = [], [], []
        for row, own in enumerate(space.layout.present):
            units = units_of(space, row, "token", own)
            detail, warning, path = self._path(space, row, baseline[row], changes[row])
            gamma, by_position = path.gamma(units)
            scores[row] = by_position
            details.append(detail)
            warnings.append(warning)
            interactions.append(
                [
                    Interaction(units.places[i], units.places[j], float(2 * gamma[i, j]))
                    for i in range(len(units))
                    for j in range(i + 1, len(units))
                ]
            )
        return Attribution(
            scores,
            baseline_values,
            details,
            remedies=["" if own else self._remedy() for own in warnings],
            warnings=warnings,
            interactions=interactions,
        )

    def _path(
        self, space: EmbeddingSpace, row: int, baseline: Tensor, change: float
    ) -> tuple[JsonDict, list[str], HessianPath]:
        """The path of an instance with its points, its details and what to warn of."""
        if self.steps is not None:
            path = HessianPath(space, row, baseline, gauss_legendre(self.steps))
            return {"steps": self.steps}, [], path
        path = HessianPath(space, row, baseline, gauss_legendre(_NODES, _PANELS))
        largest = max(abs(float(space.values[row])), abs(float(space.values[row]) - change))
        # In half precision what is rounded at the ends of panels may be more.
        asked = max((self.relative_tolerance or 0.0) * abs(change), 4 * space.rounding * largest)
        converged = path.refine(asked, self.max_steps)
        warnings = [] if converged else self.zero_warning(space)
        if not converged and not warnings:
            warnings = [
                unconverged(path.lacking(), asked, path.steps, self.max_steps, space.rounding)
            ]
        return {"converged": converged, "steps": path.steps}, warnings, path

    def _remedy(self) -> str:
        if self.relative_tolerance is None:
            return f"take more steps (now {self.steps}), or name a relative_tolerance"
        return "name a smaller relative_tolerance"
