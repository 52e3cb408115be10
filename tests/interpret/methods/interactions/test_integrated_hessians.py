"""Integrated Hessians against integrals in closed form and against integrated gradients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
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


def steep(x: Tensor) -> Tensor:
    """F changes within a hair's breadth of the path."""
    total = torch.sigmoid(200 * (x.sum((1, 2)) / STEEP_SUM - 0.7))
    return torch.stack([total, 0 * total], dim=-1)


STEEP_SUM = sum(map(sum, (VECTORS[word] for word in TEXT["sentence"].split())))


def test_a_steep_path_is_refined_where_it_is_steep() -> None:
    """F is a function of the sum, so Γ_ij is a share s_i s_j of one number for i ≠ j, and rows are
    shares s_i of F(x) - F(x')."""
    predictor = predictor_of(steep, VECTORS)
    (found,) = IntegratedHessians(predictor, **COMMON).interpret_json(TEXT)
    (coarse,) = IntegratedHessians(predictor, steps=18, **COMMON).interpret_json(TEXT)
    assert found.details["converged"] is True
    assert 18 < found.details["steps"] < 300
    change = found.target["value"] - found.target["baseline_value"]
    assert change == pytest.approx(1, abs=1e-3)
    assert abs(found.convergence_delta or 0) < 0.01
    assert abs(coarse.convergence_delta or 0) > 0.5
    s = [sum(VECTORS[word]) / STEEP_SUM for word in TEXT["sentence"].split()]
    assert found.inputs[0].attributions == pytest.approx([change * one for one in s], abs=0.02)
    by_pair = pairs(found)
    assert by_pair[0, 1] / by_pair[1, 2] == pytest.approx(s[0] / s[2], rel=0.01)


def test_what_is_not_reached_is_told() -> None:
    predictor = predictor_of(steep, VECTORS)
    (found,) = IntegratedHessians(predictor, max_steps=24, **COMMON).interpret_json(TEXT)
    assert found.details["converged"] is False
    assert any("not converged after" in one and "max_steps" in one for one in found.warnings)


def test_steps_or_a_tolerance() -> None:
    predictor = predictor_of(smooth, VECTORS)
    for wrong in ({"steps": 8, "relative_tolerance": 0.1}, {"steps": 0}, {"max_steps": 3}):
        with pytest.raises(ConfigurationError):
            IntegratedHessians(predictor, **wrong)
    assert "steps" not in IntegratedHessians(predictor).config()
    assert "relative_tolerance" not in IntegratedHessians(predictor, steps=8).config()


def test_the_tolerance_holds_on_a_steep_model() -> None:
    """The fixture on which 32 points of one rule lack more than the difference."""
    folder = Path(__file__).parents[4] / "fixtures" / "sentiment"
    predictor = Predictor.from_path(folder / "model.tar.gz", import_plugins=False)
    lines = (folder / "inputs.jsonl").read_text("utf-8").splitlines()[:3]
    texts = [{"sentence": json.loads(line)["sentence"]} for line in lines]
    for (found,) in IntegratedHessians(predictor).interpret_batch_json(texts):
        assert found.details["converged"] is True
        change = found.target["value"] - found.target["baseline_value"]
        assert abs(found.convergence_delta or 0) <= 0.01 * abs(change)
        assert found.details["steps"] < 150
