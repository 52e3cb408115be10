"""LRP on models: an account of all relevance."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret import Explanation, LayerwiseRelevancePropagation
from tests.zoo import FAMILIES, Zoo
from tests.zoo.functions import predictor_of, spread_vectors

Lrp = LayerwiseRelevancePropagation
QUICK = ("bert", "roberta", "distilbert", "gpt2", "t5", "llama", "lstm", "cnn", "pair")
MORE = ("bert-mismatched", "bert-tagger", "deberta-v2")


def total(explanation: Explanation) -> float:
    return sum(sum(one.attributions) + one.unassigned for one in explanation.inputs)


class TestEveryArchitecture:
    @pytest.mark.parametrize(
        "family",
        [
            *QUICK,
            *MORE,
            *(
                pytest.param(name, marks=pytest.mark.slow)
                for name in FAMILIES
                if name not in (*QUICK, *MORE)
            ),
        ],
    )
    @pytest.mark.parametrize("target", ["log-likelihood", "logit", "probability"])
    def test_all_relevance_is_accounted_for(self, zoo: Zoo, family: str, target: str) -> None:
        interpreter = Lrp(zoo.predictor(family), target=target)
        results = interpreter.interpret_batch_json(zoo.inputs(family)[:3])
        found = [explanation for several in results for explanation in several]
        assert found
        for explanation in found:
            absorbed = explanation.details["absorbed"]
            value = explanation.target["value"]
            rest = value - total(explanation) - sum(absorbed.values())
            assert explanation.convergence_delta == pytest.approx(rest, abs=1e-9)
            assert abs(rest) <= 1e-4 * max(abs(value), *map(abs, absorbed.values()))
            assert "without_rule" not in explanation.details

    def test_batch_equals_single(self, zoo: Zoo) -> None:
        interpreter = Lrp(zoo.predictor("bert"))
        inputs = zoo.inputs("bert")
        for given, (together,) in zip(
            inputs, interpreter.interpret_batch_json(inputs), strict=True
        ):
            (alone,) = interpreter.interpret_json(given)
            assert together.inputs[0].attributions == pytest.approx(
                alone.inputs[0].attributions, abs=1e-5
            )
            assert together.details["absorbed"] == pytest.approx(
                alone.details["absorbed"], abs=1e-4
            )


class TestThroughTheInterpreter:
    def test_a_model_of_two_words_by_hand(self) -> None:
        """Σ over words of relu(W e + b), then a head: every number by hand."""
        torch.manual_seed(0)
        layer, head = nn.Linear(2, 3), nn.Linear(3, 2)
        vectors = spread_vectors(("up", "down"), 2)
        network = nn.Sequential()
        network.layer, network.head = layer, head  # type: ignore[assignment]

        class Network(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer, self.head = layer, head

            def forward(self, x: Tensor) -> Tensor:
                return self.head(torch.relu(self.layer(x)).sum(1))

        predictor = predictor_of(Network(), vectors)
        (explanation,) = Lrp(
            predictor, target={"type": "logit", "label": "yes"}, epsilon=0
        ).interpret_json({"sentence": "up down"})
        w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        v, c = head.weight.detach().numpy()[1], head.bias.detach().numpy()[1]
        z = [w @ np.array(vectors[word]) + b for word in ("up", "down")]
        h = [np.maximum(each, 0) for each in z]
        # Without ε every share is x times its gradient.
        scores = [
            (v * (zs > 0)) @ w @ np.array(vectors[word])
            for zs, word in zip(z, ("up", "down"), strict=True)
        ]
        assert explanation.inputs[0].attributions == pytest.approx(scores, abs=1e-6)
        biases = c + sum((v * (zs > 0) * b).sum() for zs in z)
        assert explanation.details["absorbed"]["bias"] == pytest.approx(biases, abs=1e-6)
        assert explanation.target["value"] == pytest.approx(v @ (h[0] + h[1]) + c, abs=1e-6)
        assert sum(scores) + biases == pytest.approx(explanation.target["value"], abs=1e-6)

    def test_labels_with_a_sigmoid_each(self) -> None:
        """log σ(z) is negative and rises with z: its relevance is that of z, scaled."""
        folder = Path("fixtures/multi-label")
        predictor = Predictor.from_path(folder / "model.tar.gz", import_plugins=False)
        lines = (folder / "inputs.jsonl").read_text(encoding="utf-8").splitlines()
        inputs = [{"sentence": json.loads(line)["sentence"]} for line in lines[:4]]
        logits = Lrp(predictor, target="logit").interpret_batch_json(inputs)
        pairs = zip(Lrp(predictor).interpret_batch_json(inputs), logits, strict=True)
        found = [pair for several in pairs for pair in zip(*several, strict=True)]
        assert len(found) >= len(inputs)
        for one, of_logit in found:
            z = of_logit.target["value"]
            share = (math.log(2) - math.log1p(math.exp(-z))) / z
            expected = [share * score for score in of_logit.inputs[0].attributions]
            assert one.inputs[0].attributions == pytest.approx(expected, rel=1e-3, abs=1e-6)
            assert share > 0

    def test_without_rule(self) -> None:
        predictor = predictor_of(
            lambda x: x.tanh().logcumsumexp(1)[:, -1], spread_vectors(("up", "down"), 2)
        )
        (explanation,) = Lrp(predictor).interpret_json({"sentence": "up down"})
        assert explanation.details["without_rule"] == ["logcumsumexp"]
