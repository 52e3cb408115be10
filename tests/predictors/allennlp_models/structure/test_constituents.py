"""Spans of constituency parses: how they are named, and other numbers of theirs."""

from __future__ import annotations

from typing import Any

import pytest

from allennlp_saliency.interpret import InputXGradient
from tests.zoo.allennlp_models import Archives
from tests.zoo.allennlp_models.constituents import LABELS, spans_of

TEXT = {"sentence": "the dog and the actor had a little book"}


@pytest.fixture(scope="module")
def predictor(archives: Archives) -> Any:
    return archives.predictor("constituents")


def test_each_span_is_named(predictor: Any) -> None:
    spans = spans_of(predictor.predict_json(dict(TEXT)))
    found = InputXGradient(predictor).interpret_json(TEXT)
    named = {
        (one.target["positions"][0], one.target["positions"][-1] + 1): one.target["label"]
        for one in found
    }
    assert named == spans
    assert len(set(named.values())) > 1
    (text,) = found[0].inputs
    assert [TEXT["sentence"][slice(*span)] for span in text.offsets if span] == text.tokens


def test_other_labels_of_a_span(predictor: Any) -> None:
    outputs = predictor._model.forward_on_instance(predictor._json_to_instance(dict(TEXT)))
    places = {(int(start), int(end) + 1): n for n, (start, end) in enumerate(outputs["spans"])}
    for label in ("NO-LABEL", "PP"):
        target = {"type": "probability", "label": label}
        for one in InputXGradient(predictor, target=target).interpret_json(TEXT):
            assert one.target["label"] == label
            place = places[one.target["positions"][0], one.target["positions"][-1] + 1]
            own = outputs["class_probabilities"][place][LABELS.index(label)]
            assert one.target["value"] == pytest.approx(float(own), rel=1e-4)
