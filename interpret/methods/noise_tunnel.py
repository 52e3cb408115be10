"""Any method at noisy copies of the input: the mean, the second moment or the variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from .. import checks
from ..interpreter.assembly import Attribution
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..space.embedding_space import EmbeddingSpace
from ..space.variants.moved_space import moved
from .gradient.smooth_gradients import NoisyMethod
from .inner_method import OuterMethod

STATISTICS = ("smoothgrad", "smoothgrad-squared", "vargrad")
_ROWS = 64


@SaliencyInterpreter.register("noise-tunnel")
class NoiseTunnel(OuterMethod, NoisyMethod):
    """score_t = 1/n Σ s_t(x + ε_k), ε_k ~ N(0, σ²), s the scores of another method.

    With "smoothgrad-squared" it is 1/n Σ s_t(x + ε_k)², with "vargrad" 1/n Σ (s_t(x + ε_k) - s̄_t)².
    Squares and variances are those of a position's score, not of each of its coordinates.

    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise", section 3; Hooker et al.
    2019, "A Benchmark for Interpretability Methods in Deep Neural Networks", section 3; Adebayo et
    al. 2018, "Local Explanation Methods for Deep Neural Networks Lack Sensitivity to Parameter
    Values", section 2.2. captum's NoiseTunnel has the idea of one tunnel for every method.

    Args:
        predictor: The predictor whose predictions are explained.
        method: The other method: a name or a params dict with its own parameters. What every
            interpreter takes (the target and so on) is a parameter of the tunnel.
        statistic: "smoothgrad", "smoothgrad-squared" or "vargrad".
        common: The noise, and what every interpreter takes; see `NoisyMethod`.

    Raises:
        ConfigurationError: If there is no such method or statistic, or the method says nothing of
            embeddings with noise.
    """

    def __init__(
        self,
        predictor: Predictor,
        method: str | dict[str, Any] = "input-x-gradient",
        statistic: str = "smoothgrad",
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.statistic = checks.choice("statistic", statistic, STATISTICS)
        self.wrap("noise-tunnel", method)
        if self._method.bound_to_text is not None:
            raise ConfigurationError(
                f"'noise-tunnel' adds noise to the embeddings, of which {self.method['type']!r} "
                f"says nothing: {self._method.bound_to_text}; name another method, such as "
                "'integrated-gradients'"
            )

    @property
    def n_evaluations(self) -> int:
        return self.num_samples * self._method.n_evaluations

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        first = space.at_input_embeddings()
        x, noise = first.embeddings, self.noise(first)
        found = [
            self._method.attribute(moved(space, x + noise.copies(some)))
            for some in torch.arange(self.num_samples).split(max(_ROWS // len(x), 1))
        ]
        shape = (-1, *space.layout.tokens.shape)
        scores = torch.cat([one.scores.detach().double().cpu().view(shape) for one in found])
        warnings = [own for one in found for own in one.warnings or [[]] * len(one.scores)]
        self.check_finite(first, scores)
        causes = [self.no_variance("scores")] * len(x) if self.statistic == "vargrad" else []
        mean, errors = moment(scores, self.statistic)
        return Attribution(
            mean,
            standard_errors=errors,
            warnings=[self._warned(warnings[row :: len(x)]) for row in range(len(x))],
            zero_causes=causes,
        )

    def _warned(self, warnings: Sequence[Sequence[str]]) -> list[str]:
        """What the method warned of at the copies of an instance, as one warning."""
        some = [own[0] for own in warnings if own]
        if not some:
            return []
        return [
            f"at {len(some)} of {len(warnings)} noisy copies {self.method['type']!r} warned, as: "
            f"{some[0]}"
        ]


def moment(scores: Tensor, statistic: str) -> tuple[Tensor, Tensor | None]:
    """A statistic of scores at noisy copies, and its standard error.

    Args:
        scores: `(samples, …)`.
        statistic: One of `STATISTICS`.

    Returns:
        `(…)` both. The standard error is that of a mean, of a variance √((μ₄ - σ⁴)/n); None of one
        sample.
    """
    n = len(scores)
    if statistic == "vargrad":
        squares = (scores - scores.mean(0)) ** 2
        variance = squares.mean(0)
        fourth = (squares**2).mean(0) - variance**2
        return variance, None if n < 2 else (fourth.clamp_min(0) / n).sqrt()
    samples = scores**2 if statistic == "smoothgrad-squared" else scores
    return samples.mean(0), None if n < 2 else samples.std(0) / n**0.5
