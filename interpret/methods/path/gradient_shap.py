"""The gradient at random points between random baselines and noisy copies of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import noisy
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import Sum, reduce_coordinates
from ...space.embedding_space import EmbeddingSpace
from ...space.noise import standard_normal, value_range
from ..gradient.smooth_gradients import NoisyMethod
from .baseline_method import BaselineMethod

_OTHER_STREAM = 0x5EED


@SaliencyInterpreter.register("gradient-shap")
class GradientShap(NoisyMethod, BaselineMethod):
    """score_t = 1/n Σ (x_k - b_k)_t · ∇F(b_k + α_k (x_k - b_k))_t.

    x_k = x + ε_k with ε_k ~ N(0, σ²), α_k ~ U(0, 1), and b_k drawn from the baselines. Its
    expectation is Expected Gradients, which is complete; a sample is complete on average only.

    Lundberg and Lee 2017, "A Unified Approach to Interpreting Model Predictions"; Erion et al.
    2021, "Improving performance of deep learning models with axiomatic attribution priors and
    expected gradients", equation 3.

    Args:
        predictor: The predictor whose predictions are explained.
        num_samples: Random points, n.
        stdev: σ as a share of the instance's own range of values, max(x) - min(x).
        seed: Seed of noise, points and baselines; the same seed gives the same scores in any batch.
        common: The baselines, and what every interpreter takes; see `BaselineMethod`.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or is out of range.
    """

    def __init__(
        self,
        predictor: Predictor,
        num_samples: int = 32,
        stdev: float = 0.0,
        seed: int = 0,
        **common: Any,
    ) -> None:
        super().__init__(predictor, num_samples, stdev, seed, **common)

    def attribute_from(self, space: EmbeddingSpace, baselines: Sequence[Tensor]) -> Attribution:
        # Of the noise's own seed, points would be a function of the noise.
        generator = torch.Generator().manual_seed(self.seed ^ _OTHER_STREAM)
        alphas = torch.rand(self.num_samples, generator=generator)
        chosen = torch.randint(len(baselines), (self.num_samples,), generator=generator)
        return self.attribute_at(space, torch.stack(list(baselines)), alphas, chosen)

    def attribute_at(
        self, space: EmbeddingSpace, baselines: Tensor, alphas: Tensor, chosen: Tensor
    ) -> Attribution:
        """The scores for given random numbers.

        Args:
            space: The instances.
            baselines: `(baselines, instances, size)`.
            alphas: α_k, `(samples,)`.
            chosen: Number of the baseline of each sample, `(samples,)`.
        """
        x, n = space.embeddings, len(alphas)
        sigma = self.stdev * value_range(space)
        noise = standard_normal(space, n, self.seed, sigma) if self.stdev else None
        rows = torch.arange(len(x)).repeat_interleave(n)
        samples = torch.arange(n).repeat(len(x))

        def ends(numbers: Tensor) -> Sequence[Tensor]:
            row, k = rows[numbers], samples[numbers]
            noisy = x[row]
            if noise is not None:
                noisy = noisy + noise.at(row, k)
            return baselines[chosen[k], row], noisy

        def points(numbers: Tensor) -> Tensor:
            b, x_k = ends(numbers)
            return torch.lerp(b, x_k, alphas[samples[numbers]].to(x).unsqueeze(-1))

        def products(numbers: Tensor, g: Tensor) -> Tensor:
            b, x_k = ends(numbers)
            return (x_k - b) * g

        total = torch.zeros_like(x)
        sums = torch.zeros(len(rows), dtype=torch.float64)
        for numbers, some in space.gradients(points, rows, products):
            total.index_add_(0, rows[numbers].to(x.device), some, alpha=1 / n)
            sums[numbers] = some.sum(-1).double().cpu()
        self.check_finite(space, total)
        warnings = [noisy(own, n) for own in sums.view(len(x), n)]
        at_zero = self.zero_warning(space)
        return Attribution(
            reduce_coordinates(total, space.layout, Sum()),
            warnings=[at_zero if one is None else [*at_zero, one] for one in warnings],
        )
