"""Integrated gradients on one path per token, along which the other tokens stay."""

from __future__ import annotations

from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from ..assembly import Attribution
from ..embedding_space import EmbeddingSpace
from ..saliency_interpreter import SaliencyInterpreter
from .against_baseline import AgainstBaseline
from .quadrature import RULES


@SaliencyInterpreter.register("sequential-integrated-gradients")
class SequentialIntegratedGradients(AgainstBaseline):
    """score_t = (e_t - e'_t) · ∫₀¹ g_t(x^t(α)) dα, x^t(α) = x with e'_t + α (e_t - e'_t) at t.

    Enguehard 2023, "Sequential Integrated Gradients: a simple but effective method for
    explaining language models", ACL Findings, equation 3.

    Complete for each token: its score is F(x) - F(x with the baseline at t). The scores of
    different tokens need not add up to anything. The largest |delta| of a token is reported as
    `largest_token_delta`.

    Args:
        predictor: The predictor whose predictions are explained.
        steps: Points on each token's path.
        rule: How the integral is summed; see `IntegratedGradients`.
        common: The baseline, and what every interpreter takes; see `AgainstBaseline`.

    Raises:
        ConfigurationError: If the rule is unknown or the number of steps not positive.
    """

    def __init__(
        self, predictor: Predictor, steps: int = 16, rule: str = "gauss-legendre", **common: Any
    ) -> None:
        super().__init__(predictor, **common)
        if rule not in RULES:
            raise ConfigurationError(f"there is no rule {rule!r}; there are {', '.join(RULES)}")
        if steps < 1:
            raise ConfigurationError(f"steps must be positive, not {steps}")
        self.steps = steps
        self.rule = rule

    @property
    def rows_per_instance(self) -> int:
        # Times the number of tokens: one instance fills the budget.
        return 16 * self.steps

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        x, layout = space.embeddings, space.layout
        rule = RULES[self.rule](self.steps)
        alphas = torch.from_numpy(rule.points(rule.edges()).ravel())
        weights = torch.from_numpy(
            (rule.weights[None] / rule.panels).repeat(rule.panels, 0).ravel()
        )
        changed = layout.position_sums((x != baseline).to(x)) != 0
        moved = space.units * changed.cpu()[:, None]
        rows, units = moved.any(-1).nonzero(as_tuple=True)

        def points(at: Tensor, alpha: Tensor) -> Tensor:
            """x with a token moved to a share of its way from the baseline."""
            row = rows[at].to(x.device)
            own = layout.expand(moved[rows[at], units[at]].to(x.device))
            return torch.where(own, torch.lerp(baseline[row], x[row], alpha), x[row])

        k = len(alphas)
        scores = torch.zeros(layout.tokens.shape, dtype=torch.float64, device=x.device)
        paths = rows.repeat_interleave(k)
        for numbers, g in space.gradients(
            lambda n: points(n // k, alphas[n % k].to(x).unsqueeze(-1)), paths
        ):
            at = (numbers // k).to(x.device)
            row = rows.to(x.device)[at]
            products = layout.position_sums((x[row] - baseline[row]) * g).double()
            own = moved.to(x.device)[row, units.to(x.device)[at]]
            w = weights.to(x.device)[(numbers % k).to(x.device)].unsqueeze(-1)
            scores.index_add_(0, row, w * own * products)
        without = space.evaluate(lambda n: points(n, torch.zeros(len(n), 1).to(x)), rows)
        return Attribution(
            scores, details=self._details(space, scores.cpu(), moved, rows, units, without)
        )

    def _details(
        self,
        space: EmbeddingSpace,
        scores: Tensor,
        moved: Tensor,
        rows: Tensor,
        units: Tensor,
        without: Tensor,
    ) -> list[dict[str, Any]]:
        by_unit = (scores.unsqueeze(1) * moved).sum(-1)[rows, units]
        deltas = (space.values[rows] - without - by_unit).abs()
        largest = torch.zeros(len(scores), dtype=deltas.dtype)
        largest.scatter_reduce_(0, rows, deltas, "amax")
        return [{"largest_token_delta": delta} for delta in largest.tolist()]
