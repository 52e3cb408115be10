"""The gradient, averaged over noisy copies of the input."""

from __future__ import annotations

from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from ..assembly import Attribution
from ..construct import construct
from ..embedding_space import EmbeddingSpace
from ..reduction import Reduction, Sum, reduce_coordinates
from ..saliency_interpreter import SaliencyInterpreter
from .noise import standard_normal, value_range


@SaliencyInterpreter.register("smooth-gradients")
class SmoothGradients(SaliencyInterpreter):
    """ḡ = 1/n Σ ∇F(x + ε_k), ε_k ~ N(0, σ²); score_t = e_t · ḡ_t, or a reduction of ḡ_t.

    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise", section 3.

    Args:
        predictor: The predictor whose predictions are explained.
        num_samples: Noisy copies, n.
        stdev: σ as a share of the instance's own range of values, max(x) - min(x).
        seed: Seed of the noise; the same seed gives the same scores in any batch.
        times_input: Whether a token's score is e_t · ḡ_t, signed; otherwise a reduction of ḡ_t.
        reduction: The hidden dimension as one number where the input is left out: "l2",
            "mean-abs" or "l1". A plain sum is refused: behind a LayerNorm it is zero.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If a number is out of range, or the reduction is a plain sum.
    """

    def __init__(
        self,
        predictor: Predictor,
        num_samples: int = 25,
        stdev: float = 0.1,
        seed: int = 0,
        times_input: bool = True,
        reduction: Reduction | str | dict[str, Any] = "l2",
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        if num_samples < 1:
            raise ConfigurationError(f"num_samples must be positive, not {num_samples}")
        if stdev < 0:
            raise ConfigurationError(f"stdev must not be negative, not {stdev}")
        self.num_samples = num_samples
        self.stdev = stdev
        self.seed = seed
        self.times_input = times_input
        self.reduction = construct(Reduction, reduction)
        if not times_input and isinstance(self.reduction, Sum):
            raise ConfigurationError(
                "the plain sum of a gradient says nothing behind a LayerNorm; use the reduction "
                "'l2', 'mean-abs' or 'l1', or times_input"
            )

    @property
    def rows_per_instance(self) -> int:
        return self.num_samples

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        x, n = space.embeddings, self.num_samples
        sigma = self.stdev * value_range(space)
        noise = standard_normal(space, n, self.seed).flatten(0, 1)
        rows = torch.arange(len(x)).repeat_interleave(n)
        noisy = lambda numbers: (  # noqa: E731
            x[rows[numbers]] + sigma[rows[numbers]].unsqueeze(-1) * noise[numbers]
        )
        g = space.weighted_gradients(noisy, rows, torch.full((len(rows),), 1 / n))
        if self.times_input:
            return Attribution(reduce_coordinates(x * g, space.layout, Sum()))
        return Attribution(reduce_coordinates(g, space.layout, self.reduction))
