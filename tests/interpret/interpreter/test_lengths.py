"""Texts that are too long for a model that holds learned positions itself."""

from __future__ import annotations

from typing import Any

import torch
from allennlp.data import DatasetReader, Instance, Token, Vocabulary
from allennlp.data.fields import TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.interpreter.labels.labelling import label_instances


class Reader(DatasetReader):
    def text_to_instance(self, text: int, title: int) -> Instance:  # type: ignore[override]
        indexers = {"tokens": SingleIdTokenIndexer()}
        lengths = {"text": text, "title": title}
        return Instance(
            {name: TextField([Token("a")] * n, indexers) for name, n in lengths.items() if n}
        )


class OneOfTwo(Model):
    """Reads one of two texts with learned positions; the other one may be of any length."""

    def __init__(self) -> None:
        super().__init__(Vocabulary())
        self.position_embeddings = nn.Embedding(5, 3)
        self.runs = 0

    def forward(self, text: Any, title: Any = None) -> dict[str, Any]:
        self.runs += 1
        ids = text["tokens"]["tokens"]
        places = self.position_embeddings(torch.arange(ids.shape[1]))
        return {"logits": places.sum((0, 1)).expand(len(ids), 1)}


class Labels(Predictor):
    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        return [instance]


def error_of(predictor: Predictor, text: int, title: int) -> Exception | None:
    instance = predictor._dataset_reader.text_to_instance(text, title)
    return label_instances(predictor, [instance], predict=True)[0].error


def test_a_model_with_one_text_is_not_run() -> None:
    model = OneOfTwo()
    predictor = Labels(model, Reader())
    assert error_of(predictor, 5, 0) is None
    error = error_of(predictor, 6, 0)
    assert isinstance(error, InterpretationError)
    assert "field 'text' has 6 wordpieces, and the model takes at most 5" in str(error)
    assert "Reader cannot cut it" in str(error)
    assert model.runs == 1


def test_of_two_texts_the_model_shows_which_one_it_reads() -> None:
    predictor = Labels(OneOfTwo(), Reader())
    assert error_of(predictor, 5, 9) is None
    error = error_of(predictor, 6, 2)
    assert isinstance(error, InterpretationError)
    assert "field 'text' has 6 wordpieces" in str(error)
    assert isinstance(error.__cause__, IndexError)
