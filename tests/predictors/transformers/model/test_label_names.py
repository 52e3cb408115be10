"""Labels with the same name are told apart: the number that is explained is the predicted one's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.model.label_vocabulary import unique_names
from tests.zoo.word_level import ENCODER, bert_like, ready

TEXT = {"sentence": "mary lives in paris"}


def predictor(task: str, *names: str) -> Any:
    known = dict(enumerate(names))
    config = tf.BertConfig(**ENCODER, id2label=known, label2id={v: k for k, v in known.items()})
    kinds: Any = {
        "text-classification": tf.BertForSequenceClassification,
        "token-classification": tf.BertForTokenClassification,
    }
    torch.manual_seed(0)
    return TransformersPredictor.from_pretrained(ready(kinds[task](config)), bert_like(), task=task)


def test_names() -> None:
    assert unique_names({2: "X", 0: "O", 1: "X"}) == {0: "O", 1: "X", 2: "X (2)"}
    assert unique_names({0: "a", 1: "b"}) == {0: "a", 1: "b"}
    assert len(set(unique_names({0: "X", 1: "X (2)", 2: "X", 3: "X"}).values())) == 4


@pytest.mark.parametrize("names", [("Y", "X", "X"), ("X", "X", "X")])
def test_tags(names: tuple[str, ...]) -> None:
    made = predictor("token-classification", *names)
    predicted = made.predict_json(TEXT)
    best = torch.tensor(predicted["logits"]).max(-1)
    explained = InputXGradient(made, target="logit").interpret_json(TEXT)
    assert explained
    for one in explained:
        places = one.target["positions"]
        assert one.target["value"] == pytest.approx(float(best.values[places].mean()), abs=1e-5)


def test_labels() -> None:
    made = predictor("text-classification", "a", "a", "b")
    logits = made.predict_json(TEXT)["logits"]
    every = InputXGradient(made, target="all-labels").interpret_json(TEXT)
    assert [one.target["label"] for one in every] == ["a", "a (1)", "b"]
    assert [one.target["value"] for one in every] == pytest.approx(logits, abs=1e-5)


def test_words_outside_and_parts_of_entities_are_known_by_the_names_of_the_config() -> None:
    made = predictor("token-classification", "O", "O", "B-PER", "I-PER", "I-PER")
    head = made._model.transformer.classifier
    for number, words in ((1, []), (4, [TEXT["sentence"]])):
        with torch.no_grad():
            head.weight.zero_()
            head.bias.copy_(9 * torch.eye(5)[number])
        predicted = made.predict_json(TEXT)
        assert set(predicted["tags"]) == {["O", "O (1)", "B-PER", "I-PER", "I-PER (4)"][number]}
        assert [one["text"] for one in predicted["entities"]] == words
        assert {one["type"] for one in predicted["entities"]} <= {"PER"}
        explained = InputXGradient(made, target="logit").interpret_json(TEXT)
        assert [one.target["value"] for one in explained] == [9.0] * len(words)


def test_names_that_are_no_texts_or_none() -> None:
    made = predictor("text-classification", "a", "b")
    own = made._model.transformer
    for known, name in (({0: 0, 1: 1}, "1"), ({}, "1"), (None, "1")):
        own.config.id2label = known
        with torch.no_grad():
            own.classifier.bias.copy_(torch.tensor([0.0, 50.0]))
        again = TransformersPredictor.from_pretrained(own, bert_like(), task="text-classification")
        (one,) = InputXGradient(again, target="logit").interpret_json(TEXT)
        assert again.predict_json(TEXT)["label"] == name
        assert one.target["label"] == name
        assert one.target["value"] == pytest.approx(again.predict_json(TEXT)["logits"][1], abs=1e-5)
