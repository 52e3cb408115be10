"""Spans and arcs of parses: how they are named, and other numbers of theirs."""

from __future__ import annotations

from math import exp
from typing import Any

import pytest

from allennlp_saliency.interpret import InputXGradient
from tests.zoo.allennlp_models import Archives
from tests.zoo.allennlp_models.constituents import LABELS, spans_of

TEXT = {"sentence": "Mary saw a great film."}


@pytest.fixture
def predictor(archives: Archives) -> Any:
    return archives.predictor("dependencies")


@pytest.mark.parametrize("by_tree", [True, False])
def test_each_arc_is_named(predictor: Any, by_tree: bool) -> None:
    predictor._model.use_mst_decoding_for_validation = by_tree
    parsed = predictor._model.forward_on_instance(predictor._json_to_instance(dict(TEXT)))
    found = InputXGradient(predictor).interpret_json(TEXT)
    words = ["ROOT", *parsed["words"]]
    assert [one.target["label"] for one in found] == parsed["predicted_dependencies"]
    assert [one.target["positions"] for one in found] == [[n] for n in range(len(found))]
    assert [one.target["head"] for one in found] == [words[n] for n in parsed["predicted_heads"]]
    total = sum(one.target["value"] for one in found)
    assert total == pytest.approx(-parsed["loss"] * len(found), rel=1e-4)


def test_words_say_where_in_the_sentence_they_stand(predictor: Any) -> None:
    (one, *_) = InputXGradient(predictor).interpret_json(TEXT)
    (text,) = one.inputs
    assert text.tokens == ["Mary", "saw", "a", "great", "film", "."]
    assert [TEXT["sentence"][slice(*span)] for span in text.offsets if span] == text.tokens


def test_other_numbers_of_an_arc(predictor: Any) -> None:
    likely = InputXGradient(predictor).interpret_json(TEXT)
    probable = InputXGradient(predictor, target="probability").interpret_json(TEXT)
    for one, other in zip(likely, probable, strict=True):
        assert other.target["value"] == pytest.approx(exp(one.target["value"]), rel=1e-4)


def test_a_tag_against_another(predictor: Any) -> None:
    """The difference of logits is that of log-probabilities, for the same head."""
    values = {}
    for tag in ("nsubj", "obj"):
        target = {"type": "log-likelihood", "label": tag}
        found = InputXGradient(predictor, target=target).interpret_json(TEXT)
        assert {one.target["label"] for one in found} == {tag}
        values[tag] = [one.target["value"] for one in found]
    contrast = {"type": "contrast", "label": "nsubj", "against": "obj"}
    found = InputXGradient(predictor, target=contrast).interpret_json(TEXT)
    expected = [a - b for a, b in zip(values["nsubj"], values["obj"], strict=True)]
    assert [one.target["value"] for one in found] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_a_sentence_with_gold_arcs_is_explained_by_what_was_predicted(predictor: Any) -> None:
    plain = predictor._json_to_instance(dict(TEXT))
    words, tags = plain["metadata"].metadata["words"], plain["pos_tags"].labels
    gold = predictor._dataset_reader.text_to_instance(
        words, tags, [("obj", (n + 2) % len(words)) for n in range(len(words))]
    )
    interpreter = InputXGradient(predictor)
    one, other = interpreter.interpret_each_instance([plain, gold])
    assert (one.error, other.error) == (None, None)
    for ours, theirs in zip(one.explanations, other.explanations, strict=True):
        assert ours.target == theirs.target
        assert ours.inputs == theirs.inputs


SENTENCE = {"sentence": "the dog and the actor had a little book"}


@pytest.fixture(scope="module")
def parser(archives: Archives) -> Any:
    return archives.predictor("constituents")


def test_each_span_is_named(parser: Any) -> None:
    spans = spans_of(parser.predict_json(dict(SENTENCE)))
    found = InputXGradient(parser).interpret_json(SENTENCE)
    named = {
        (one.target["positions"][0], one.target["positions"][-1] + 1): one.target["label"]
        for one in found
    }
    assert named == spans
    assert len(set(named.values())) > 1
    (text,) = found[0].inputs
    assert [SENTENCE["sentence"][slice(*span)] for span in text.offsets if span] == text.tokens


def test_other_labels_of_a_span(parser: Any) -> None:
    outputs = parser._model.forward_on_instance(parser._json_to_instance(dict(SENTENCE)))
    places = {(int(start), int(end) + 1): n for n, (start, end) in enumerate(outputs["spans"])}
    for label in ("NO-LABEL", "PP"):
        target = {"type": "probability", "label": label}
        for one in InputXGradient(parser, target=target).interpret_json(SENTENCE):
            assert one.target["label"] == label
            place = places[one.target["positions"][0], one.target["positions"][-1] + 1]
            own = outputs["class_probabilities"][place][LABELS.index(label)]
            assert one.target["value"] == pytest.approx(float(own), rel=1e-4)
