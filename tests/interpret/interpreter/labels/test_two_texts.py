"""Inputs of two texts: each of them has padding of its own in a batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.common.util import JsonDict
from allennlp.data import DatasetReader, Instance, TextFieldTensors, Token
from allennlp.data.fields import LabelField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.models import Model
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from torch import Tensor, nn

from allennlp_saliency.interpret.interpreter.labels.batched_predictions import most_padded

from .word_models import WORDS, check_same, vocabulary


class Reader(DatasetReader):
    def text_to_instance(self, one: str, other: str) -> Instance:  # type: ignore[override]
        indexers: Any = {"tokens": SingleIdTokenIndexer()}
        texts = {"one": one, "other": other}
        return Instance(
            {name: TextField([*map(Token, text.split())], indexers) for name, text in texts.items()}
        )


class PairPredictor(Predictor):
    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        return self._dataset_reader.text_to_instance(json_dict["one"], json_dict["other"])

    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        copied = instance.duplicate()
        copied.add_field("label", LabelField(int(outputs["probs"].argmax()), skip_indexing=True))
        return [copied]


class PairModel(Model):
    """Both texts' sums of vectors, classified.

    Args:
        sees_padding: Whether the vectors of the other text's padding count, too.
    """

    def __init__(self, sees_padding: bool) -> None:
        super().__init__(vocabulary())
        words = Embedding(6, self.vocab.get_vocab_size("tokens"))
        self.embedder = BasicTextFieldEmbedder({"tokens": words})
        self.head = nn.Linear(6, 2)
        self.sees_padding = sees_padding

    def forward(  # type: ignore[override]
        self, one: TextFieldTensors, other: TextFieldTensors, label: Tensor | None = None
    ) -> dict[str, Tensor]:
        first, second = self.embedder(one), self.embedder(other)
        text = (first * get_text_field_mask(one).unsqueeze(-1)).sum(1)
        if self.sees_padding:
            text = text + (second.softmax(1) * second).sum(1)
        else:
            text = text + (second * get_text_field_mask(other).unsqueeze(-1)).sum(1)
        logits = self.head(text.tanh())
        outputs = {"logits": logits, "probs": logits.softmax(-1)}
        outputs["ids"] = other["tokens"]["tokens"].float()
        if label is not None:
            outputs["loss"] = nn.functional.cross_entropy(logits, label.view(-1))
        return outputs


def predictor(sees_padding: bool = False) -> PairPredictor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PairPredictor(PairModel(sees_padding).eval(), Reader())


def pairs(sizes: list[tuple[int, int]]) -> list[JsonDict]:
    """Two texts of these numbers of words each."""
    return [
        {
            name: " ".join(WORDS[(number * 3 + shift + k * 5) % 26] for k in range(size))
            for name, size, shift in (("one", one, 0), ("other", other, 7))
        }
        for number, (one, other) in enumerate(sizes)
    ]


def test_padding_in_one_of_two_texts_is_seen() -> None:
    # The shortest has the longest of the other texts, and the first ones have these equally long.
    sizes = [(15, 5), (16, 5), (14, 5), (17, 5), (1, 6), *[(4, 4)] * 22]
    check_same(predictor(sees_padding=True), pairs(sizes))


def test_an_output_is_as_long_as_its_own_text() -> None:
    # Of the first ones, and of the shortest, both texts are equally long.
    sizes = [(3, 3), (5, 5), (4, 4), (6, 6), (2, 2), *[(6, 5), (5, 6), (5, 5)] * 8]
    check_same(predictor(), pairs(sizes))


@pytest.mark.parametrize(
    ("lengths", "chosen"),
    [
        ([(3, 3), (3, 3)], [0]),
        ([(1, 1), (2, 2), (3, 3)], [0]),
        ([(1, 6), (4, 4), (5, 3)], [0, 2]),
        ([(4, 4), (4, 1), (4, 2)], [0, 1]),
    ],
)
def test_the_most_padded_of_a_batch(lengths: list[tuple[int, int]], chosen: list[int]) -> None:
    keys = ("one", "tokens"), ("other", "tokens")
    found = most_padded({n: dict(zip(keys, own, strict=True)) for n, own in enumerate(lengths)})
    assert found == chosen
    assert most_padded({}) == []
