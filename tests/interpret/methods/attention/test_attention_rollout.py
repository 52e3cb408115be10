"""Rollout, by hand from what Hugging Face's models show of their attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from allennlp_saliency.interpret import InterpretationError
from tests.interpret.attention.models import (
    SENTENCE,
    eager,
    encoded,
    explained,
    of_kind,
    scores,
    shown,
)
from tests.zoo.task_models import KINDS, predictor, tokenizer


def rolled_out(weights: np.ndarray, residual: float = 0.5) -> list[np.ndarray]:
    """A_l … A_1 for each layer l, `weights` being `(layers, queries, keys)`."""
    result: list[np.ndarray] = []
    before = np.eye(weights.shape[-1])
    for layer in weights:
        before = ((1 - residual) * layer + residual * np.eye(len(layer))) @ before
        result.append(before)
    return result


class TestEncoder:
    @pytest.mark.parametrize("name", ["bert", "albert", "gpt2", "llama"])
    @pytest.mark.parametrize(
        ("heads", "layer", "residual"), [("mean", -1, 0.5), ("max", 0, 0.5), (1, 1, 0.2)]
    )
    def test_by_hand(self, name: str, heads: Any, layer: int, residual: float) -> None:
        with torch.no_grad():
            outputs = eager(name, "text-classification")(
                **encoded(name, SENTENCE), output_attentions=True
            )
        weights = shown(outputs)["self"][:, 0].astype(float)
        if heads == "max":
            weights = weights.max(1)
            weights /= weights.sum(-1, keepdims=True)
        else:
            weights = weights.mean(1) if heads == "mean" else weights[:, heads]
        expected = rolled_out(weights, residual)
        (explanation,) = explained(
            "attention-rollout",
            name,
            "text-classification",
            {"sentence": SENTENCE},
            heads=heads,
            layer=layer,
            residual=residual,
            matrices=True,
        )
        causal = name in ("gpt2", "llama")
        full = of_kind(explanation, "decoder" if causal else "encoder")
        assert full == pytest.approx(np.stack(expected), abs=1e-6)
        own = expected[layer]
        looked = own[-1] if causal else own.mean(0)
        assert scores(explanation, "sentence") == pytest.approx(looked, abs=1e-6)


class TestDecoder:
    @pytest.mark.parametrize("name", ["t5", "bart"])
    def test_both_texts(self, name: str) -> None:
        given = {"source": SENTENCE, "max_new_tokens": 4}
        written = predictor(name, "seq2seq").predict_json(given)["token_ids"]
        start = tokenizer(KINDS[name].tokenizer).pad_token_id
        so_far = torch.tensor([[start, *written[:3]]])
        with torch.no_grad():
            outputs = eager(name, "seq2seq")(
                **encoded(name, SENTENCE), decoder_input_ids=so_far, output_attentions=True
            )
        weights = {kind: w[:, 0].mean(1).astype(float) for kind, w in shown(outputs).items()}
        encoder = rolled_out(weights["encoder"])[-1]
        # What each position of the decoder is made of: its own text and the source's side by side.
        made = np.concatenate([np.eye(4), np.zeros((4, len(encoder)))], axis=1)
        source = np.concatenate([np.zeros((len(encoder), 4)), encoder], axis=1)
        for own, cross in zip(weights["decoder"], weights["cross"], strict=True):
            made = 0.5 * own @ made + 0.5 * made
            made = 0.5 * cross @ source + 0.5 * made
        explanation = explained("attention-rollout", name, "seq2seq", given)[3]
        found = scores(explanation, "generated", "source")
        assert found == pytest.approx(made[-1], abs=1e-6)
        assert found.sum() == pytest.approx(1, abs=1e-6)

    def test_of_the_encoder_alone(self) -> None:
        given = {"source": SENTENCE, "max_new_tokens": 1}
        with torch.no_grad():
            outputs = eager("t5", "seq2seq").get_encoder()(
                **encoded("t5", SENTENCE), output_attentions=True
            )
        weights = shown(outputs)["self"][:, 0].mean(1).astype(float)
        (explanation,) = explained("attention-rollout", "t5", "seq2seq", given, kind="encoder")
        expected = rolled_out(weights)[-1].mean(0)
        assert scores(explanation, "source") == pytest.approx(expected, abs=1e-6)


def test_no_such_layer() -> None:
    with pytest.raises(InterpretationError, match="no layer 5"):
        explained(
            "attention-rollout", "bert", "text-classification", {"sentence": SENTENCE}, layer=5
        )
