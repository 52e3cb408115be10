"""The gradient at noisy copies of the input: its mean and its second moments."""

from __future__ import annotations

from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...errors import InterpretationError
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import MeanAbsolute, Reduction, Sum, reduce_coordinates
from ...registry import construct
from ...space.embedding_space import EmbeddingSpace, Made
from ...space.noise import Noise, standard_normal, value_range


class NoisyMethod(SaliencyInterpreter):
    """A method that evaluates the model at noisy copies of the input, x + ε, ε ~ N(0, σ²).

    Args:
        predictor: The predictor whose predictions are explained.
        num_samples: Noisy copies, n.
        stdev: σ as a share of the instance's own range of values, max(x) - min(x).
        seed: Seed of the noise; the same seed gives the same scores in any batch.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or is out of range.
    """

    def __init__(
        self,
        predictor: Predictor,
        num_samples: int = 25,
        stdev: float = 0.1,
        seed: int = 0,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.num_samples = checks.integer("num_samples", num_samples, least=1)
        self.stdev = checks.number("stdev", stdev, least=0)
        self.seed = checks.seed("seed", seed)

    @property
    def n_evaluations(self) -> int:
        return self.num_samples

    def noise(self, space: EmbeddingSpace) -> Noise:
        """ε of every copy of every instance."""
        sigma = self.stdev * value_range(space)
        return standard_normal(space, self.num_samples, self.seed, sigma)

    def no_variance(self, of: str) -> str:
        """Why the variance over the noisy copies of something is zero, where it is."""
        if self.num_samples == 1:
            return "a single sample has no variance; raise num_samples"
        return f"its {of} at all noisy copies are the same; raise stdev (now {self.stdev:g})"

    def check_finite(self, space: EmbeddingSpace, found: Tensor) -> None:
        """Makes sure that the noise is none that the model has no finite numbers for.

        Args:
            space: The instances.
            found: What was found at their noisy copies.

        Raises:
            InterpretationError: If that is not finite, and the gradient at the input itself is.
        """
        if not self.stdev or found.isfinite().all():
            return
        if space.input_gradients.isfinite().all():
            raise InterpretationError(
                f"with stdev={self.stdev:g} the numbers at the noisy copies of the input are not "
                "finite, and those at the input are; lower stdev"
            )


class NoisyGradients(NoisyMethod):
    """A method that averages over the gradients at the noisy copies; see `NoisyMethod`."""

    def mean(self, space: EmbeddingSpace, made: Made) -> Tensor:
        """The mean over the noisy copies of a function of their gradients.

        Args:
            space: The instances.
            made: A function of the instances, `(chunk,)`, and the gradients, `(chunk, size)`, that
                returns float64, `(chunk, …)`.

        Returns:
            `(instances, …)`, float64.
        """
        x = space.embeddings
        noise = self.noise(space)
        rows = torch.arange(len(x)).repeat_interleave(self.num_samples)

        def noisy(numbers: Tensor) -> Tensor:
            own = rows[numbers]
            return x[own] + noise.at(own, numbers % self.num_samples)

        total: Tensor | None = None
        for numbers, some in space.gradients(noisy, rows, lambda of, g: made(rows[of], g)):
            if total is None:
                total = some.new_zeros(len(x), *some.shape[1:])
            total.index_add_(0, rows[numbers].to(total.device), some)
        assert total is not None
        self.check_finite(space, total)
        return total / self.num_samples


@SaliencyInterpreter.register("smooth-gradients")
class SmoothGradients(NoisyGradients):
    """ḡ = 1/n Σ ∇F(x + ε_k), ε_k ~ N(0, σ²); score_t = e_t · ḡ_t, or a reduction of ḡ_t.

    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise", section 3.

    Args:
        predictor: The predictor whose predictions are explained.
        times_input: Whether a token's score is e_t · ḡ_t, signed; otherwise a reduction of ḡ_t.
        reduction: The hidden dimension as one number where the input is left out: "l2",
            "mean-abs" or "l1". A plain sum is refused: behind a LayerNorm it is zero.
        common: The noise, and what every interpreter takes; see `NoisyGradients`.

    Raises:
        ConfigurationError: If the reduction is a plain sum, or `times_input` no boolean.
    """

    def __init__(
        self,
        predictor: Predictor,
        times_input: bool = True,
        reduction: Reduction | str | dict[str, Any] = "l2",
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.times_input = checks.boolean("times_input", times_input)
        self.reduction = construct(Reduction, reduction)
        if not self.times_input and isinstance(self.reduction, Sum):
            raise ConfigurationError(
                "the plain sum of a gradient says nothing behind a LayerNorm; use the reduction "
                "'l2', 'mean-abs' or 'l1', or times_input"
            )

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        g = self.mean(space, lambda _, g: g.double())
        if self.times_input:
            scores = reduce_coordinates(space.embeddings * g, space.layout, Sum())
        else:
            scores = reduce_coordinates(g, space.layout, self.reduction)
        return Attribution(scores, warnings=saturated(space))


@SaliencyInterpreter.register("square-gradients")
class SquareGradients(NoisyGradients):
    """score_t = mean over the hidden dimension of 1/n Σ g_k², g_k = ∇F(x + ε_k).

    Hooker et al. 2019, "A Benchmark for Interpretability Methods in Deep Neural Networks",
    section 3 (SmoothGrad²).
    """

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        square = self.mean(space, lambda _, g: g.double() ** 2)
        scores = reduce_coordinates(square, space.layout, MeanAbsolute())
        return Attribution(scores, warnings=saturated(space))


@SaliencyInterpreter.register("var-gradients")
class VarGradients(NoisyGradients):
    """score_t = mean over the hidden dimension of 1/n Σ (g_k - ḡ)², g_k = ∇F(x + ε_k).

    Adebayo et al. 2018, "Local Explanation Methods for Deep Neural Networks Lack Sensitivity to
    Parameter Values", section 2.2 (VarGrad).
    """

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        # Shifted by one of the gradients, so that the difference of the moments loses nothing.
        shift = space.input_gradients.double()

        def powers(rows: Tensor, g: Tensor) -> Tensor:
            deviations = g.double() - shift[rows]
            return torch.stack([deviations, deviations**2], dim=1)

        first, second = self.mean(space, powers).unbind(1)
        variance = (second - first**2).clamp_min(0)
        scores = reduce_coordinates(variance, space.layout, MeanAbsolute())
        causes = [self.no_variance("gradients")] * len(scores)
        return Attribution(scores, warnings=saturated(space), zero_causes=causes)
