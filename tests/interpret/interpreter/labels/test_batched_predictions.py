"""Many inputs are predicted in batches, and nothing but the number of passes tells."""

from __future__ import annotations

import pytest
import torch
from allennlp.common.util import JsonDict
from torch import Tensor

import allennlp_saliency.predictors  # noqa: F401  registers them
from allennlp_saliency.interpret.interpreter.labels.batched_predictions import (
    FEW,
    TRIED,
)
from allennlp_saliency.interpret.interpreter.labels.labelling import (
    Labelled,
    label_instances,
    label_json,
)
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import labels_of
from allennlp_saliency.interpret.model.twin import Twin
from tests.interpret.interpreter.labels.word_models import (
    ROWS,
    Vectors,
    assert_alike,
    check_same,
    fixture,
    predictor,
    texts,
)

PLAIN = ("sentiment", "sentiment-lstm", "ner", "entailment", "topics", "multi-label")
READ = ("question-answering", "choices")


@pytest.fixture(autouse=True)
def rows() -> list[int]:
    ROWS.clear()
    return ROWS


def labelled(name: str, inputs: list[JsonDict]) -> list[Labelled]:
    twin = Twin(fixture(name)[0])
    labels = labels_of(twin.predictor)
    if labels is not None:
        labels.attach(twin.model)
    return label_json(twin.predictor, inputs, True, labels)


@pytest.mark.parametrize("name", [*PLAIN, *READ])
def test_predictions_in_batches_are_those_alone(name: str) -> None:
    inputs = fixture(name)[1][:40]
    found = labelled(name, inputs)
    several = sum(one.again is not None for one in found)
    assert several > TRIED, "nothing was predicted in a batch"
    for one, given in zip(found, inputs, strict=True):
        (expected,) = labelled(name, [given])
        assert_alike(expected.prediction, one.prediction)
        for own, others in zip(expected.instances, one.instances, strict=True):
            assert_alike(dict(own.outputs), dict(others.outputs))


def test_the_same_inputs_give_the_same_bytes() -> None:
    inputs = fixture("sentiment")[1][:40]
    first, second = (repr([one.prediction for one in labelled("sentiment", inputs)]) for _ in "ab")
    assert first == second


def test_few_passes_for_many_inputs(rows: list[int]) -> None:
    found = label_json(predictor(), texts(64), True)
    assert all(one.error is None for one in found)
    assert rows[:TRIED] == [1] * TRIED
    assert rows[TRIED] == TRIED
    batches, checks = rows[TRIED + 1 :: 2], rows[TRIED + 2 :: 2]
    assert sum(batches) == 64 - TRIED
    assert checks == [1] * len(batches)
    assert len(rows) <= 32


def test_few_inputs_are_predicted_alone(rows: list[int]) -> None:
    label_json(predictor(), texts(FEW), True)
    assert rows == [1] * FEW


def test_instances_of_a_reader(rows: list[int]) -> None:
    made = predictor()
    instances = [made._json_to_instance(one) for one in texts(40)]
    found = label_instances(made, instances, True)
    assert len(rows) < 32
    expected = [label_instances(made, [one], True)[0] for one in instances]
    for one, other in zip(expected, found, strict=True):
        assert_alike(one.prediction, other.prediction)
    assert not any(field for one in instances for field in one.fields if field == "label")


def without_mask(vectors: Tensor, mask: Tensor) -> Tensor:
    return (vectors.softmax(1) * vectors).sum(1)


def against_mean(vectors: Tensor, mask: Tensor) -> Tensor:
    sums = (vectors * mask.unsqueeze(-1)).sum(1)
    return sums if len(sums) == 1 else sums - sums.mean(0)


def all_but_the_last(vectors: Tensor, mask: Tensor) -> Tensor:
    sums = (vectors * mask.unsqueeze(-1)).sum(1)
    return torch.cat([sums[:-1] - sums[1:].mean(0), sums[-1:]]) if len(sums) > 1 else sums


def large_batches(vectors: Tensor, mask: Tensor) -> Tensor:
    """Mixes the rows of what is larger than the first batch."""
    sums = (vectors * mask.unsqueeze(-1)).sum(1)
    return sums if len(sums) <= TRIED else sums - sums.mean(0)


def long_batches(vectors: Tensor, mask: Tensor) -> Tensor:
    """Sees padding where a text is longer than all of the first ones."""
    if vectors.shape[1] <= 9:
        return (vectors * mask.unsqueeze(-1)).sum(1)
    return vectors.sum(1)


def one_row(vectors: Tensor, mask: Tensor) -> Tensor:
    if len(vectors) > 1:
        raise ValueError("one row, please")
    return vectors.sum(1)


@pytest.mark.parametrize(
    ("mixed", "inputs", "largest"),
    [
        (without_mask, texts(40), 40),
        (against_mean, texts(40), TRIED),
        (all_but_the_last, texts(40), TRIED),
        (large_batches, texts(80), None),
        (long_batches, [*texts(10), *texts(40, 4, 15)], None),
        (one_row, texts(30), TRIED),
    ],
)
def test_a_model_that_a_batch_changes(
    mixed: Vectors, inputs: list[JsonDict], largest: int | None, rows: list[int]
) -> None:
    made = predictor(mixed)
    check_same(made, inputs)
    rows.clear()
    expected = [label_json(made, [one], True)[0].prediction for one in inputs]
    rows.clear()
    found = [one.prediction for one in label_json(made, inputs, True)]
    assert_alike(expected, found)
    assert largest is None or max(rows) <= largest


def test_a_model_that_sees_padding_gets_none(rows: list[int]) -> None:
    label_json(predictor(without_mask), texts(64, 3, 5), True)
    assert len(rows) < 32
