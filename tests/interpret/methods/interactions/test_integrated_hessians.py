"""Integrated Hessians against integrals in closed form and against integrated gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import IntegratedGradients, IntegratedHessians
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of, spread_vectors

VECTORS = spread_vectors(("up", "down", "left", "right"), 3)
TEXT = {"sentence": "up down left"}
COMMON: dict[str, Any] = {"target": "logit", "baseline": "zero"}
_WEIGHTS = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))


def bilinear(x: Tensor) -> Tensor:
    """F = s_0 s_1 + 2 s_2 with the sums s of the tokens' coordinates."""
    s = x.sum(-1)
    return torch.stack([s[:, 0] * s[:, 1] + 2 * s[:, 2], 0 * s[:, 0]], dim=-1)


def smooth(x: Tensor) -> Tensor:
    return (x @ _WEIGHTS).tanh().prod(1)


def pairs(explanation: Any) -> dict[tuple[int, int], float]:
    return {(one.first[1], one.second[1]): one.value for one in explanation.interactions}


def test_a_product_in_closed_form() -> None:
    """Γ_01 = Γ_10 = s_0 s_1 ∫∫ αβ = s_0 s_1 / 4, Γ_00 = s_0 s_1 ∫∫ αβ = s_0 s_1 / 4."""
    (found,) = IntegratedHessians(predictor_of(bilinear, VECTORS), **COMMON).interpret_json(TEXT)
    s = [sum(VECTORS[word]) for word in TEXT["sentence"].split()]
    assert pairs(found)[0, 1] == pytest.approx(s[0] * s[1] / 2, rel=1e-5)
    assert pairs(found)[0, 2] == pytest.approx(0, abs=1e-6)
    expected = [s[0] * s[1] / 2, s[0] * s[1] / 2, 2 * s[2]]
    assert found.inputs[0].attributions == pytest.approx(expected, rel=1e-5)
    assert found.convergence_delta == pytest.approx(0, abs=1e-5)


def test_the_rows_are_integrated_gradients() -> None:
    predictor = predictor_of(smooth, VECTORS)
    (found,) = IntegratedHessians(predictor, **COMMON).interpret_json(TEXT)
    (expected,) = IntegratedGradients(predictor, steps=128, **COMMON).interpret_json(TEXT)
    assert found.inputs[0].attributions == pytest.approx(expected.inputs[0].attributions, abs=1e-5)


def test_a_transformer_with_fused_attention(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    text = {"sentence": "the plot was not bad"}
    target = {"target": "logit", "baseline": "mask"}
    (found,) = IntegratedHessians(predictor, steps=24, **target).interpret_json(text)
    (expected,) = IntegratedGradients(predictor, steps=64, **target).interpret_json(text)
    assert max(map(abs, pairs(found).values())) > 1e-5
    assert found.inputs[0].attributions == pytest.approx(expected.inputs[0].attributions, abs=1e-4)
