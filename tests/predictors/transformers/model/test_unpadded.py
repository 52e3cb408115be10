"""Batches of models that see padding, or that take one row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from allennlp.data import Instance, Token
from allennlp.data.fields import TextField

from allennlp_saliency.predictors.transformers.model.unpadded import PaddingCheck


def instances(*lengths: int) -> list[Instance]:
    return [Instance({"text": TextField([Token("a")] * length)}) for length in lengths]


class Model:
    """Returns of each text its length, plus what its padding adds.

    Attributes:
        batches: The lengths in each batch that ran.
    """

    def __init__(self, padding_adds: float = 0.0, most_rows: int = 99) -> None:
        self.batches: list[list[int]] = []
        self._padding_adds = padding_adds
        self._most_rows = most_rows

    def run(self, batch: Sequence[Any]) -> list[dict[str, Any]]:
        lengths = [len(one["text"].tokens) for one in batch]
        if len(batch) > self._most_rows:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        self.batches.append(lengths)
        longest = max(lengths)
        return [
            {"logits": [one + self._padding_adds * (longest - one)], "label": "a"}
            for one in lengths
        ]


def logits(outputs: list[dict[str, Any]]) -> list[float]:
    return [output["logits"][0] for output in outputs]


def test_a_model_that_does_not_see_padding() -> None:
    model, check = Model(), PaddingCheck(torch.float32)
    for _ in range(2):
        assert logits(check.run(instances(3, 1, 2), model.run)) == [3.0, 1.0, 2.0]
    # The shortest alone, once.
    assert model.batches == [[3, 1, 2], [1], [3, 1, 2]]


def test_a_model_that_sees_padding() -> None:
    model, check = Model(padding_adds=0.5), PaddingCheck(torch.float32)
    for _ in range(2):
        assert logits(check.run(instances(3, 1, 2, 3), model.run)) == [3.0, 1.0, 2.0, 3.0]
    grouped = [[3, 3], [1], [2]]
    assert model.batches == [[3, 1, 2, 3], [1], *grouped, *grouped]


@pytest.mark.parametrize(("sees", "batches"), [(True, [[3], [1]]), (False, [[3, 1]])])
def test_what_is_known_is_not_tried(sees: bool, batches: list[list[int]]) -> None:
    model = Model()
    PaddingCheck(torch.float32, sees).run(instances(3, 1), model.run)
    assert model.batches == batches


def test_a_model_that_takes_one_row() -> None:
    model, check = Model(most_rows=1), PaddingCheck(torch.float32)
    for _ in range(2):
        assert logits(check.run(instances(3, 1), model.run)) == [3.0, 1.0]
    assert model.batches == [[3], [1], [3], [1]]


def test_an_input_that_fails_alone_raises_its_own_error() -> None:
    def run(batch: Sequence[Any]) -> list[dict[str, Any]]:
        if any(len(one["text"].tokens) == 3 for one in batch):
            raise KeyError("three")
        return Model().run(batch)

    check = PaddingCheck(torch.float32)
    with pytest.raises(KeyError, match="three"):
        check.run(instances(3, 1), run)
    # Of the model nothing is found out by it.
    model = Model()
    check.run(instances(2, 2), model.run)
    assert model.batches == [[2, 2]]


def test_too_little_memory_is_not_a_model_of_one_row() -> None:
    def run(batch: Sequence[Any]) -> list[dict[str, Any]]:
        raise MemoryError

    with pytest.raises(MemoryError):
        PaddingCheck(torch.float32).run(instances(3, 1), run)
