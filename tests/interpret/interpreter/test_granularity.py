"""Scores of words, sentences and paragraphs are sums of their tokens', for every kind of method."""

from __future__ import annotations

from math import fsum
from typing import Any

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import SaliencyInterpreter
from tests.zoo import Zoo

TEXT = {"sentence": "the plot was bad. the actor was good!\n\nit was not a film"}
SEGMENTS = {"sentence": 3, "paragraph": 2}


def explained(zoo: Zoo, name: str, granularity: str, **params: Any) -> Any:
    config = Params({"type": name, "granularity": granularity, **params})
    interpreter: Any = SaliencyInterpreter.from_params(config, predictor=zoo.predictor("bert"))
    (explanation,) = interpreter.interpret_json(dict(TEXT))
    return explanation


@pytest.mark.parametrize("level", list(SEGMENTS))
@pytest.mark.parametrize("name", ["integrated-gradients", "lrp", "attention", "random"])
def test_nothing_is_lost(zoo: Zoo, name: str, level: str) -> None:
    tokens, segments = (explained(zoo, name, one).inputs[0] for one in ("token", level))
    named = [part for part, span in zip(segments.tokens, segments.offsets, strict=True) if span]
    assert fsum(segments.attributions) == pytest.approx(fsum(tokens.attributions), abs=1e-6)
    text = TEXT["sentence"]
    assert named == [text[slice(*span)] for span in segments.offsets if span]
    # A special token stands by itself.
    assert (
        len([span for span in segments.offsets if span and span[0] != span[1]]) >= SEGMENTS[level]
    )


@pytest.mark.parametrize("level", list(SEGMENTS))
def test_a_sentence_is_removed_as_one(zoo: Zoo, level: str) -> None:
    found = explained(zoo, "leave-one-out", level, baseline="mask").inputs[0]
    by_unit = explained(zoo, "leave-one-out", "token", baseline="mask", units=level).inputs[0]
    scores = [score for score in found.attributions if score]
    assert len(scores) == SEGMENTS[level]
    # At tokens a unit's score is shared by its tokens.
    assert fsum(by_unit.attributions) == pytest.approx(fsum(scores), abs=1e-6)
    assert len({round(score, 9) for score in by_unit.attributions if score}) == SEGMENTS[level]


def test_standard_errors_come_along(zoo: Zoo) -> None:
    found = explained(zoo, "shapley-sampling", "word", num_pairs=2, baseline="mask").inputs[0]
    assert found.standard_errors is not None
    assert len(found.standard_errors) == len(found.tokens)
    assert max(found.standard_errors) > 0


def test_what_there_is_not(zoo: Zoo) -> None:
    with pytest.raises(ConfigurationError, match="'token' or 'word' or 'sentence' or 'paragraph'"):
        explained(zoo, "random", "chapter")
