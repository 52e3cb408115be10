"""Leave-one-out, from the largest blocks to the words of the best."""

from __future__ import annotations

import re

import numpy as np
import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import LeaveOneOut, explain_function
from tests.zoo import Zoo

WEIGHTS = {"good": 2.0, "bad": -3.0, "best": 5.0, "nice": 1.0}
TEXT = "A good film. A bad end.\n\nIt is nice. It is the best, nearly.\n\nNothing."


def total(texts: list[str]) -> list[float]:
    return [sum(WEIGHTS.get(word, 0.0) for word in re.findall(r"\w+", one)) for one in texts]


def test_words_of_the_best_sentence_of_the_best_paragraph() -> None:
    asked: list[int] = []

    def counted(texts: list[str]) -> list[float]:
        asked.append(len(texts))
        return total(texts)

    found = explain_function(counted, TEXT, {"type": "leave-one-out", "hierarchical": True})
    (own,) = found.inputs
    scores = dict(zip(own.tokens, own.attributions, strict=True))
    assert scores["best"] == pytest.approx(5.0)
    assert scores["nearly"] == pytest.approx(0.0)
    # The words of what is not divided share its score.
    assert scores["nice"] == pytest.approx(1.0 / 4)
    assert scores["good"] == pytest.approx(-1.0 / 8)
    assert scores["Nothing"] == pytest.approx(0.0)
    levels = found.details["levels"]
    assert [(one["level"], one["blocks"], one["loss"]) for one in levels] == [
        ("paragraph", 3, 6.0),
        ("sentence", 2, 5.0),
        ("unit", 7, 5.0),
    ]
    assert own.tokens[levels[2]["units"][0]] == "best"
    # The prediction, the whole text, 3 paragraphs, 2 sentences and 7 words; not each of 20 words.
    assert asked == [1, 1, 3, 2, 7]


@pytest.mark.parametrize("text", ["good", "A good film.", "A good film. Good."])
def test_levels_of_one_block_are_left_out(text: str) -> None:
    plain = explain_function(total, text, "leave-one-out")
    found = explain_function(total, text, {"type": "leave-one-out", "hierarchical": True})
    assert found.target["value"] == plain.target["value"]
    if text.count(".") < 2:
        assert found.inputs[0].attributions == pytest.approx(plain.inputs[0].attributions)
        assert [one["level"] for one in found.details["levels"]] == ["unit"]
    else:
        assert [one["level"] for one in found.details["levels"]] == ["sentence", "unit"]


@pytest.mark.parametrize("removal", ["delete", "mask"])
def test_tokens_of_a_model(zoo: Zoo, removal: str) -> None:
    predictor = zoo.predictor("bert")
    given = {"sentence": "the plot was not bad. it was long. the scene was good"}
    method = LeaveOneOut(predictor, hierarchical=True, removal=removal)
    (found,) = method.interpret_json(given)
    (sentences,) = LeaveOneOut(
        predictor, removal=removal, granularity="word", units="sentence"
    ).interpret_json(given)
    levels = found.details["levels"]
    assert levels[0]["level"] == "sentence"
    assert levels[0]["blocks"] == 3
    per_sentence = sorted(set(np.round(sentences.inputs[0].attributions, 9)))
    best = levels[0]["loss"] / len(levels[0]["units"])
    assert min(abs(best - score) for score in per_sentence) < 1e-5
    plain = LeaveOneOut(predictor, removal=removal).interpret_json(given)[0].inputs[0]
    own = found.inputs[0]
    exact = sum(
        abs(a - b) < 1e-5 for a, b in zip(own.attributions, plain.attributions, strict=True)
    )
    assert exact >= levels[1]["blocks"] - 1


def test_a_window_and_levels_are_two_things(zoo: Zoo) -> None:
    with pytest.raises(ConfigurationError, match="no window"):
        LeaveOneOut(zoo.predictor("lstm"), window=2, hierarchical=True)
