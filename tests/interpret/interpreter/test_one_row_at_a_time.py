"""AllenNLP's own model for testing interpreters flattens its batch, so it takes one row at a time.
Every method explains it, one input or several, without being asked for small batches."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from allennlp.common.testing.interpret_test import (
    FakeModelForTestingInterpret,
    FakePredictorForTestingInterpret,
)
from allennlp.data import Vocabulary
from allennlp.data.dataset_readers import TextClassificationJsonReader

from allennlp_saliency.interpret import Explanation, NotApplicableError, SaliencyInterpreter
from tests.interpret.properties.cases import METHODS

TEXTS = ("a very great film and good", "bad film it was a very", "the plot was bad and long")
GIVEN = [{"sentence": text} for text in TEXTS]
ATTENTION = {"attention", "attention-rollout", "attention-x-gradient", "value-zeroing"}


@cache
def predictor() -> Any:
    reader = TextClassificationJsonReader()
    instances = [reader.text_to_instance(text) for text in TEXTS]
    for instance in instances:
        reader.apply_token_indexers(instance)
    vocabulary = Vocabulary.from_instances(instances)
    vocabulary.add_tokens_to_namespace(["0", "1"], "labels")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = FakeModelForTestingInterpret(vocabulary, max_tokens=6).eval()
    return FakePredictorForTestingInterpret(model, reader)


def test_it_takes_one_row() -> None:
    model = predictor()._model
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model({"tokens": {"tokens": torch.ones(2, 6, dtype=torch.long)}})


@pytest.mark.parametrize("name", METHODS)
def test_every_method(name: str) -> None:
    kind: Any = SaliencyInterpreter.by_name(name)
    if name in ATTENTION:
        with pytest.raises(NotApplicableError, match="no transformer attention"):
            kind(predictor()).interpret_json(GIVEN[0])
        return
    alone = [kind(predictor()).interpret_json(one)[0] for one in GIVEN]
    together = [found[0] for found in kind(predictor()).interpret_batch_json(GIVEN)]
    for one, other, text in zip(alone, together, TEXTS, strict=True):
        assert one.inputs[0].tokens == text.split()
        assert scores(other) == pytest.approx(scores(one), rel=0, abs=1e-5)
        if kind.complete:
            change = one.target["value"] - one.target["baseline_value"]
            assert sum(scores(one)) == pytest.approx(change, rel=2e-2, abs=1e-5)


def test_input_x_gradient_by_hand() -> None:
    model = predictor()._model
    kind: Any = SaliencyInterpreter.by_name("input-x-gradient")
    explained = kind(predictor(), target="logit").interpret_batch_json(GIVEN)
    for text, (one,) in zip(TEXTS, explained, strict=True):
        ids = [model.vocab.get_token_index(word) for word in text.split()]
        vectors = model.embedder.weight.detach()[ids]
        logits = model.linear(vectors.flatten())
        weights = model.linear.weight.detach()[int(logits.argmax())].view(6, -1)
        expected = (vectors * weights).sum(-1).tolist()
        assert scores(one) == pytest.approx(expected, rel=0, abs=1e-6)


def scores(explanation: Explanation) -> list[float]:
    (field,) = explanation.inputs
    return field.attributions
