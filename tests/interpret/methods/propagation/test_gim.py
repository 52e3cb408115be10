"""GIM against its formulas by hand, and the same scores under every attention kernel."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from allennlp_saliency.interpret import GradientInteractionModifications, InputXGradient
from tests.zoo import Zoo
from tests.zoo.functions import predictor_of, spread_vectors

VECTORS = spread_vectors(("up", "down", "left", "right", "far"), 4)
TEXT = {"sentence": "up far left down"}
_GENERATOR = torch.Generator().manual_seed(0)
Q, K, V, OUT, GATE, UP = (torch.randn(4, 4, generator=_GENERATOR) for _ in range(6))
HEAD = torch.randn(4, 2, generator=_GENERATOR)
WEIGHT = torch.tensor([1.0, -0.5, 2.0, 0.3])
ZERO = {"baseline": "zero", "target": "logit"}


def block(x: Tensor, fused: bool) -> Tensor:
    """Attention, a norm, a gated layer: `(rows, tokens, 4)` to logits."""
    q, k, v = x @ Q, x @ K, x @ V
    if fused:
        mixed = functional.scaled_dot_product_attention(q, k, v)
    else:
        mixed = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
    h = functional.layer_norm(x + mixed @ OUT, (4,), WEIGHT)
    gated = functional.silu(h @ GATE) * (h @ UP)
    return (h + gated).mean(1) @ HEAD


def by_hand(x: Tensor, label: int, temperature: float = 2.0) -> Tensor:
    """The gradient of a logit with GIM's modifications, operation by operation, `(tokens, 4)`."""
    q, k, v = x @ Q, x @ K, x @ V
    scores = q @ k.T / 2
    weights, soft = scores.softmax(-1), (scores / temperature).softmax(-1)
    a = x + weights @ v @ OUT
    centred = a - a.mean(-1, keepdim=True)
    r = (centred.square().mean(-1, keepdim=True) + 1e-5).rsqrt()
    h = centred * r * WEIGHT
    gate, up = h @ GATE, h @ UP
    silu = gate.sigmoid()
    g_h0 = HEAD[:, label].expand(len(x), 4) / len(x)
    # A product's factors have half of its gradient each.
    g_gate = g_h0 * up / 2 * (silu + gate * silu * (1 - silu))
    g_up = g_h0 * gate * silu / 2
    g_h = g_h0 + g_gate @ GATE.T + g_up @ UP.T
    # r is a constant.
    g_centred = g_h * WEIGHT * r
    g_a = g_centred - g_centred.mean(-1, keepdim=True)
    g_mixed = g_a @ OUT.T
    g_weights, g_v = g_mixed @ v.T / 2, weights.T @ g_mixed / 2
    # The softmax at a temperature.
    g_scores = soft * (g_weights - (soft * g_weights).sum(-1, keepdim=True))
    g_q, g_k = g_scores @ k / 2 / 2, g_scores.T @ q / 2 / 2
    return g_a + g_q @ Q.T + g_k @ K.T + g_v @ V.T


def scores(interpreter: Any, text: Any = TEXT) -> list[float]:
    (explanation,) = interpreter.interpret_json(text)
    return explanation.inputs[0].attributions


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("temperature", [2.0, 1.0, 3.5])
def test_the_formulas_by_hand(fused: bool, temperature: float) -> None:
    predictor = predictor_of(lambda x: block(x, fused), VECTORS)
    x = torch.tensor([VECTORS[word] for word in TEXT["sentence"].split()])
    label = int(block(x[None], False).argmax())
    expected = (x * by_hand(x, label, temperature)).sum(-1)
    gim = GradientInteractionModifications(predictor, temperature=temperature, **ZERO)
    assert scores(gim) == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-5)


def test_without_its_modifications_it_is_the_gradient() -> None:
    predictor = predictor_of(lambda x: block(x, True), VECTORS)
    rules = dict.fromkeys(("softmax", "layer_norm", "product"), "gradient")
    plain = scores(GradientInteractionModifications(predictor, rules=rules, **ZERO))
    assert plain == pytest.approx(scores(InputXGradient(predictor, target="logit")), rel=1e-5)
    assert plain != pytest.approx(
        scores(GradientInteractionModifications(predictor, **ZERO)), rel=0.1
    )


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama"])
def test_the_same_under_sdpa_and_eager(zoo: Zoo, name: str) -> None:
    text = {"sentence": "the plot was not bad , but the actor was badly unbelievable !"}
    found = []
    for implementation in ("sdpa", "eager"):
        predictor = copy.deepcopy(zoo.predictor(name))
        embedder = predictor._model._text_field_embedder.token_embedder_tokens
        embedder.transformer_model.set_attn_implementation(implementation)
        found.append(scores(GradientInteractionModifications(predictor, target="logit"), text))
    assert max(map(abs, found[0])) > 1e-4
    assert found[0] == pytest.approx(found[1], abs=1e-5)
