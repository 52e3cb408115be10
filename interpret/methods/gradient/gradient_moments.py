"""The second moments of the gradient over noisy copies of the input."""

from __future__ import annotations

import torch
from torch import Tensor

from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import saturated
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import MeanAbsolute, reduce_coordinates
from ...space.embedding_space import EmbeddingSpace
from .noise import NoisyGradients


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
        return Attribution(scores, warnings=saturated(space))
