"""The gradient, averaged on the straight path from a baseline to the input."""

from __future__ import annotations

from typing import Any, ClassVar

from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...explanation import JsonDict
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import (
    IN_SINGLE_PRECISION,
    LARGE_DELTA,
    NOT_ITS_GRADIENT,
    jump,
    unconverged,
)
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...space.embedding_space import EmbeddingSpace
from .baseline_method import BaselineMethod
from .path_integral import RULES, StraightPaths

_RELATIVE_TOLERANCE = 0.01


@SaliencyInterpreter.register("integrated-gradients")
class IntegratedGradients(BaselineMethod):
    """score_t = (e_t - e'_t) · ∫₀¹ g_t(x' + α (x - x')) dα.

    Sundararajan, Taly and Yan 2017, "Axiomatic Attribution for Deep Networks", equation 1.
    Complete: the scores add up to F(x) - F(x'), up to what the rule for the integral misses.

    Args:
        predictor: The predictor whose predictions are explained.
        steps: Points on the path; with a tolerance, points to begin with. With neither steps nor
            a rule nor a tolerance, as many as a relative tolerance of 1 % asks for, or as make a
            difference in the precision of the model.
        rule: How the integral is summed: "gauss-legendre", "boole", "midpoint", "trapezoid",
            "left" (AllenNLP's) or "right". None is Gauss-Legendre, and with a tolerance Boole's,
            whose points all serve again when a panel is cut.
        tolerance: Refine until the convergence delta is at most this, in units of the target;
            what the panels of the path lack is added up without regard to sign, so the delta
            itself is mostly smaller.
        relative_tolerance: The same as a share of F(x) - F(x'). Of both tolerances the looser
            one counts.
        max_steps: Where refining stops in any case.
        common: The baseline, and what every interpreter takes; see `BaselineMethod`.

    Raises:
        ConfigurationError: If the rule is unknown, or a number is none or out of range.
    """

    complete: ClassVar[bool] = True

    def __init__(
        self,
        predictor: Predictor,
        steps: int | None = None,
        rule: str | None = None,
        tolerance: float | None = None,
        relative_tolerance: float | None = None,
        max_steps: int = 1024,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self._by_default = (steps, rule, tolerance, relative_tolerance) == (None,) * 4
        if self._by_default:
            relative_tolerance = _RELATIVE_TOLERANCE
        refines = tolerance is not None or relative_tolerance is not None
        if steps is None:
            steps = 9 if refines else 32
        if rule is None:
            rule = "boole" if refines else "gauss-legendre"
        self.steps = checks.integer("steps", steps, least=1)
        self.rule = checks.choice("rule", rule, RULES)
        self.tolerance = checks.optional_number("tolerance", tolerance, above=0)
        self.relative_tolerance = checks.optional_number(
            "relative_tolerance", relative_tolerance, above=0
        )
        # Fewer than there are to begin with would be none.
        self.max_steps = checks.integer("max_steps", max_steps, least=self.steps)
        self._refines = refines

    @property
    def n_evaluations(self) -> int:
        return self.steps

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        paths = StraightPaths(space, baseline, RULES[self.rule](self.steps))
        if self._refines:
            details, warnings = self._refined(space, paths)
        else:
            details, warnings = self._fixed(space, paths)
        for detail, steps in zip(details, paths.steps, strict=True):
            detail["steps"] = steps
        remedies = [
            "" if own else self._remedy(detail.get("converged"))
            for own, detail in zip(warnings, details, strict=True)
        ]
        return Attribution(
            paths.scores(), paths.baseline_values, details, remedies=remedies, warnings=warnings
        )

    def _refined(
        self, space: EmbeddingSpace, paths: StraightPaths
    ) -> tuple[list[JsonDict], list[list[str]]]:
        """Refines the paths; the details of each, and what to warn of where it did not converge."""
        tolerances = self._tolerances(space, paths)
        reached = paths.refine(tolerances, self.max_steps)
        at_zero = [] if all(reached) else self.zero_warning(space)
        # The values of a random model are not those that its gradient belongs to.
        known = not all(reached) and not space.random
        elsewhere = paths.contradicted() if known else [False for _ in reached]
        columns = reached, paths.jumps(), elsewhere, paths.lacking(), tolerances.tolist()
        warnings = []
        for converged, found, other, lacking, asked, steps in zip(
            *columns, paths.steps, strict=True
        ):
            own = at_zero
            if found is not None:
                own = own or [jump(*found)]
            if other:
                own = own or [NOT_ITS_GRADIENT]
            own = own or [unconverged(lacking, asked, steps, self.max_steps, space.rounding)]
            warnings.append([] if converged else own)
        return [{"converged": converged} for converged in reached], warnings

    def _fixed(
        self, space: EmbeddingSpace, paths: StraightPaths
    ) -> tuple[list[JsonDict], list[list[str]]]:
        """The same for as many points as were asked for."""
        change = space.values - paths.baseline_values
        lacking = (change - paths.scores().sum(-1).cpu()).abs()
        good = (lacking <= LARGE_DELTA * change.abs()).tolist()
        at_zero = [] if all(good) else self.zero_warning(space)
        return [{} for _ in good], [[] if one else at_zero for one in good]

    def _tolerances(self, space: EmbeddingSpace, paths: StraightPaths) -> Tensor:
        """What the scores of each instance may lack, `(instances,)`."""
        change = (space.values - paths.baseline_values).abs()
        tolerances = (self.relative_tolerance or 0.0) * change
        if self._by_default:
            # In half precision what is rounded at the ends of panels may be more than 1 %.
            largest = space.values.abs().maximum(paths.baseline_values.abs())
            tolerances = tolerances.maximum(4 * space.rounding * largest)
        return tolerances.clamp_min(self.tolerance or 0.0)

    def _remedy(self, converged: bool | None) -> str:
        """What to do where much is lacking, after refining until it converged or not, or None."""
        if converged is None:
            return f"take more steps (now {self.steps}), or name a relative_tolerance"
        if self._by_default:
            return IN_SINGLE_PRECISION
        return "name a smaller tolerance"
