"""Predictors that label what they have read last: many inputs are read before one is labelled."""

from __future__ import annotations

from typing import Any

import pytest
from allennlp.common.util import JsonDict
from allennlp.data import Instance

from allennlp_saliency.interpret.interpreter.labels.labelling import label_json

from .word_models import ROWS, WordPredictor, check_same, predictor, texts


class OfReader(WordPredictor):
    """Its reader remembers."""

    @property
    def memory(self) -> Any:
        return self._dataset_reader

    def remember(self, text: str) -> None:
        self.memory.last = text

    def remembered(self) -> str:
        return str(self.memory.last)

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        self.remember(json_dict["text"])
        return super()._json_to_instance(json_dict)

    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        label = str(int(outputs["probs"].argmax()))
        return [self._dataset_reader.text_to_instance(self.remembered(), label)]


class OfList(OfReader):
    """It remembers in a list, which stays the same object."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.read: list[str] = []

    def remember(self, text: str) -> None:
        self.read.append(text)

    def remembered(self) -> str:
        return self.read[-1]


@pytest.mark.parametrize("kind", [OfReader, OfList])
def test_each_input_is_labelled_as_itself(kind: type[WordPredictor]) -> None:
    check_same(predictor(predicts=kind), texts(30))


def test_nothing_is_read_ahead_where_the_reader_remembers() -> None:
    ROWS.clear()
    found = label_json(predictor(predicts=OfReader), texts(30), True)
    assert [one.error for one in found] == [None] * 30
    assert ROWS == [1] * 30
