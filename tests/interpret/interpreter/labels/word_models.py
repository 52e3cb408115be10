"""A small model of words for tests of predictions in batches, and what compares them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from allennlp.common.util import JsonDict
from allennlp.data import Instance, TextFieldTensors, Vocabulary
from allennlp.data.dataset_readers import TextClassificationJsonReader
from allennlp.models import Model
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from torch import Tensor, nn

import allennlp_saliency.predictors  # noqa: F401  registers them
from allennlp_saliency.interpret import InputXGradient

FIXTURES = Path(__file__).resolve().parents[4] / "fixtures"
WORDS = tuple("a b c d e f g h i j k l m n o p q r s t u v w x y z".split())
ROWS: list[int] = []
"""How many rows each pass of a `WordModel` had."""

Vectors = Callable[[Tensor, Tensor], Tensor]


class WordModel(Model):
    """The sum of a text's vectors, classified."""

    def __init__(self, vocab: Vocabulary, mixed: Vectors | None = None) -> None:
        super().__init__(vocab)
        words = Embedding(6, vocab.get_vocab_size("tokens"))
        self.embedder = BasicTextFieldEmbedder({"tokens": words})
        self.head = nn.Linear(6, 2)
        self.mixed = mixed

    def forward(  # type: ignore[override]
        self, tokens: TextFieldTensors, label: Tensor | None = None
    ) -> dict[str, Tensor]:
        ROWS.append(len(tokens["tokens"]["tokens"]))
        mask = get_text_field_mask(tokens)
        vectors = self.embedder(tokens)
        if self.mixed is None:
            text = (vectors * mask.unsqueeze(-1)).sum(1)
        else:
            text = self.mixed(vectors, mask)
        logits = self.head(text.tanh())
        if label is None:
            logits = self.predicted(logits)
        outputs = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            outputs["loss"] = nn.functional.cross_entropy(logits, label.view(-1))
        return outputs

    def predicted(self, logits: Tensor) -> Tensor:
        """What it returns where it predicts."""
        return logits


class WordPredictor(Predictor):
    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(json_dict["text"])

    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        copied = self._dataset_reader.text_to_instance(
            " ".join(token.text for token in instance["tokens"].tokens),  # type: ignore[attr-defined]
            str(int(outputs["probs"].argmax())),
        )
        return [copied]


@cache
def vocabulary() -> Vocabulary:
    made = Vocabulary()
    made.add_tokens_to_namespace(list(WORDS), "tokens")
    made.add_tokens_to_namespace(["0", "1"], "labels")
    return made


def predictor(
    mixed: Vectors | None = None,
    kind: type[WordModel] = WordModel,
    predicts: type[WordPredictor] = WordPredictor,
) -> WordPredictor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(vocabulary(), mixed)
    return predicts(model, TextClassificationJsonReader())


def texts(count: int, shortest: int = 1, longest: int = 9) -> list[JsonDict]:
    """Texts of several lengths, in no order of these."""
    lengths = range(shortest, longest + 1)
    return [
        {
            "text": " ".join(
                WORDS[(number * 3 + k * 5) % 26] for k in range(lengths[number * 7 % len(lengths)])
            )
        }
        for number in range(count)
    ]


def alone(made: Predictor, inputs: list[Any]) -> list[Any]:
    return [InputXGradient(made).interpret_each([one], predict=True)[0] for one in inputs]


def check_same(made: Predictor, inputs: list[Any], failing: int = 0) -> None:
    """Scores, values, labels and predictions are those of each input alone."""
    expected = alone(made, inputs)
    found = InputXGradient(made).interpret_each(inputs, predict=True)
    assert sum(one.error is not None for one in expected) == failing
    for one, other in zip(expected, found, strict=True):
        assert str(one.error) == str(other.error)
        assert type(one.error) is type(other.error)
        assert_alike(one.prediction, other.prediction)
        assert len(one.explanations) == len(other.explanations)
        for first, second in zip(one.explanations, other.explanations, strict=True):
            assert_alike(first.target, second.target)
            for own, others in zip(first.inputs, second.inputs, strict=True):
                assert own.tokens == others.tokens
                assert_alike(own.attributions, others.attributions)


def assert_alike(one: Any, other: Any) -> None:
    """Equal, floating numbers up to rounding."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_alike(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_alike(*pair)
    elif isinstance(one, numpy.ndarray):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        if one.dtype.kind != "f":
            assert (one == other).all()
        elif one.size:
            assert abs(one - other).max() <= 1e-6 * max(1.0, float(abs(one).max()))
    else:
        number = isinstance(one, float | numpy.floating)
        assert other == (pytest.approx(one, rel=1e-5, abs=1e-6) if number else one)


@cache
def fixture(name: str) -> tuple[Predictor, list[JsonDict]]:
    lines = (FIXTURES / name / "inputs.jsonl").read_text("utf-8").splitlines()
    inputs = [json.loads(line) for line in lines]
    return Predictor.from_path(str(FIXTURES / name / "model.tar.gz")), inputs
