"""Integrated gradients of integrated gradients: what each pair of tokens adds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from allennlp.predictors import Predictor
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ... import checks
from ...coalitions.units import Units, units_of
from ...errors import InterpretationError
from ...explanation import Interaction
from ...interpreter.assembly import Attribution
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...space.embedding_space import EmbeddingSpace
from ..path.baseline_method import BaselineMethod


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
        steps: Points of the Gauss-Legendre rule, in √z. Each takes as many backward passes as
            there are tokens.
        common: The baseline, and what every interpreter takes; see `BaselineMethod`.

    Raises:
        ConfigurationError: If the number of steps is no positive integer.
    """

    complete: ClassVar[bool] = True

    def __init__(self, predictor: Predictor, steps: int = 32, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.steps = checks.integer("steps", steps, least=1)

    @property
    def n_evaluations(self) -> int:
        # Times the number of tokens.
        return self.steps * 8

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        units = [units_of(space, row, "token", own) for row, own in enumerate(space.layout.present)]
        scores = torch.zeros(space.layout.tokens.shape, dtype=torch.float64)
        interactions = []
        for row, own in enumerate(units):
            gamma, by_position = self._instance(space, row, baseline[row], own)
            scores[row] = by_position
            interactions.append(
                [
                    Interaction(own.places[i], own.places[j], float(2 * gamma[i, j]))
                    for i in range(len(own))
                    for j in range(i + 1, len(own))
                ]
            )
        rows = torch.arange(len(units))
        return Attribution(
            scores,
            space.evaluate(baseline, rows),
            remedies=["take more steps"] * len(units),
            interactions=interactions,
        )

    def _instance(
        self, space: EmbeddingSpace, row: int, baseline: Tensor, units: Units
    ) -> tuple[Tensor, Tensor]:
        """Γ by pairs of tokens, `(units, units)`, and Σ_j Γ_ij by position, `(positions,)`."""
        x, layout = space.embeddings, space.layout
        direction = x[row] - baseline
        owned = units.positions.to(x)
        roots, weights = np.polynomial.legendre.leggauss(self.steps)
        roots = (roots + 1) / 2
        # z = t², dz = 2 t dt, and -ln z = -2 ln t; the rule's weights are for [-1, 1].
        measure = weights / 2 * 2 * roots * -2 * np.log(roots)
        gamma = torch.zeros(len(units), len(units), dtype=torch.float64)
        by_position = torch.zeros(len(layout.tokens[row]), dtype=torch.float64)
        points = torch.from_numpy(roots**2).to(x)
        own_row = torch.tensor([row])
        for z, weight in zip(points, measure.tolist(), strict=True):
            # The fused kernels have no second derivative.
            with sdpa_kernel(SDPBackend.MATH):
                leaf, values = space.leaf_and_values((baseline + z * direction)[None], own_row)
                gradient = _gradient(values.sum(), leaf, create_graph=True)
                products = layout.position_sums(direction * gradient)[0]
                first = products.detach()
                by_position += weight * first.double().cpu()
                gamma += weight * torch.diag(owned @ first).double().cpu()
                for number, mask in enumerate(owned):
                    second = _gradient((products * mask).sum(), leaf)
                    found = layout.position_sums(direction * second)[0].detach()
                    by_position += weight * float(z) * found.double().cpu()
                    gamma[number] += weight * float(z) * (owned @ found).double().cpu()
        return gamma, by_position


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
