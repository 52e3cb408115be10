"""Integrated gradients on one path per token, along which the other tokens stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import token_incomplete
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...space.embedding_space import EmbeddingSpace
from .baseline_method import BaselineMethod
from .path_integral import RULES

_STEPS = 16


@SaliencyInterpreter.register("sequential-integrated-gradients")
class SequentialIntegratedGradients(BaselineMethod):
    """score_t = (e_t - e'_t) · ∫₀¹ g_t(x^t(α)) dα, x^t(α) = x with e'_t + α (e_t - e'_t) at t.

    Enguehard 2023, "Sequential Integrated Gradients: a simple but effective method for
    explaining language models", ACL Findings, equation 3.

    Complete for each token: its score is F(x) - F(x with the baseline at t). The scores of
    different tokens need not add up to anything. Along a path that moves t alone the integral is
    that difference, by the fundamental theorem of calculus, wherever F is continuous; so without
    `steps` it is taken, which needs no gradients. (A jump of F at the baseline, as a cosine with
    a zero vector makes, is in the difference and in no sum of gradients.) With `steps` the integral
    is summed as in the paper, and the largest |delta| of a token is reported as
    `largest_token_delta`.

    Args:
        predictor: The predictor whose predictions are explained.
        steps: Points on each token's path; None for the exact integral, which tells the
            wordpieces of a token apart no further: each has an equal share.
        rule: How the integral is summed, with 16 steps unless others are named; see
            `IntegratedGradients`.
        common: The baseline, and what every interpreter takes; see `BaselineMethod`.

    Raises:
        ConfigurationError: If the rule is unknown or the number of steps no positive integer.
    """

    def __init__(
        self, predictor: Predictor, steps: int | None = None, rule: str | None = None, **common: Any
    ) -> None:
        super().__init__(predictor, **common)
        if rule is None:
            rule = "gauss-legendre"
        elif steps is None:
            steps = _STEPS
        self.steps = checks.optional_integer("steps", steps, least=1)
        self.rule = checks.choice("rule", rule, RULES)

    @property
    def n_evaluations(self) -> int:
        # Times the number of tokens: one instance fills the budget.
        return 16 * (self.steps or 1)

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        x, layout = space.embeddings, space.layout
        changed = layout.position_sums((x != baseline).to(baseline)) != 0
        # The positions that each path moves, `(instances, units, positions)`.
        moved = space.layout.units * changed.cpu()[:, None]
        rows, units = moved.any(-1).nonzero(as_tuple=True)
        moved = moved[rows, units]

        def points(paths: Tensor, alpha: Tensor) -> Tensor:
            """x with a token moved to a share of its way from the baseline."""
            row = rows[paths]
            own = layout.expand(moved[paths].to(x.device))
            return torch.where(own, torch.lerp(baseline[row], x[row], alpha), x[row])

        without = space.evaluate(lambda n: points(n, x.new_zeros(len(n), 1)), rows)
        dues = space.values[rows] - without
        scores = torch.zeros(layout.tokens.shape, dtype=torch.float64)
        if self.steps is None:
            shares = moved.double() / moved.sum(-1, keepdim=True)
            return Attribution(scores.index_add_(0, rows, shares * dues.unsqueeze(-1)))
        rule = RULES[self.rule](self.steps)
        alphas = torch.from_numpy(rule.points(rule.edges()).ravel())
        weights = torch.from_numpy(np.tile(rule.weights / rule.panels, rule.panels))
        k = len(alphas)

        def contributions(numbers: Tensor, g: Tensor) -> Tensor:
            """What a point contributes to the score of its token, by position."""
            paths, row = numbers // k, rows[numbers // k]
            products = layout.position_sums((x[row] - baseline[row]) * g).double().cpu()
            return weights[numbers % k].unsqueeze(-1) * moved[paths] * products

        by_path = torch.zeros(moved.shape, dtype=torch.float64)
        for numbers, some in space.gradients(
            lambda n: points(n // k, alphas[n % k].to(x).unsqueeze(-1)),
            rows.repeat_interleave(k),
            contributions,
        ):
            by_path.index_add_(0, numbers // k, some)
        return self._measured(
            scores.index_add_(0, rows, by_path), rows, dues - by_path.sum(-1), dues
        )

    def _measured(self, scores: Tensor, rows: Tensor, deltas: Tensor, dues: Tensor) -> Attribution:
        """The scores, `(instances, positions)`, with what each token's lacks of the difference that
        it makes: the instance, the delta and the difference of each token, `(tokens,)`."""
        remedy = (
            f"take more steps (now {self.steps}), or leave steps and rule out: then the difference "
            "itself is taken"
        )
        details: list[dict[str, Any]] = []
        warnings: list[list[str]] = []
        for row in range(len(scores)):
            own = deltas[rows == row]
            details.append({"largest_token_delta": float(own.abs().amax()) if len(own) else 0.0})
            warning = token_incomplete(own, dues[rows == row], remedy)
            warnings.append([] if warning is None else [warning])
        return Attribution(scores, details=details, warnings=warnings)
