"""Units that the user gives beside a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    InputXGradient,
    InterpretationError,
    LeaveOneOut,
    PairInteractions,
    explain_function,
)
from allennlp_saliency.interpret.faithfulness import compare
from allennlp_saliency.interpret.inputs.given_units import take_units, without_units
from tests.zoo import Zoo

ROOT = Path(__file__).resolve().parents[3]
TEXT = "the plot was not bad but long"
SPANS = [[0, 8], [13, 20], [25, 29]]
GIVEN = {"sentence": TEXT, "units": {"sentence": SPANS}}


def test_they_are_taken_away() -> None:
    rest, units = take_units(GIVEN)
    assert rest == {"sentence": TEXT} == without_units(GIVEN)
    assert units == {("sentence",): [(0, 8), (13, 20), (25, 29)]}
    assert "units" in GIVEN
    for other in ({"sentence": TEXT}, {"units": "metres"}, [1], "text"):
        assert take_units(other) == (other, {})
        assert without_units(other) == other  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({"sentences": SPANS}, r"no text 'sentences'; did you mean 'sentence'\?"),
        ({"sentence": []}, r"a list of spans \[start, end\), not \[\]"),
        ({"sentence": 3}, "a list of spans"),
        ({"sentence": [3]}, r"3 is no span"),
        ({"sentence": [[0, 1, 2]]}, "is no span"),
        ({"sentence": [[0, "4"]]}, "is no span"),
        ({"sentence": [[0, True]]}, "is no span"),
        ({"sentence": [[4, 4]]}, "or is empty"),
        ({"sentence": [[-1, 4]]}, "not within the text, which has 29 characters"),
        ({"sentence": [[20, 30]]}, "not within the text"),
        ({"sentence": [[3, 4]]}, "nothing but space"),
        ({"sentence": [[0, 8], [7, 12]]}, r"\[7, 12\] begins before \[0, 8\] ends"),
        ({"sentence": [[9, 12], [0, 8]]}, "in order"),
    ],
)
def test_spans_that_are_none(zoo: Zoo, units: Any, message: str) -> None:
    method = LeaveOneOut(zoo.predictor("lstm"))
    good = {"sentence": TEXT}
    found = method.interpret_each([good, {**good, "units": units}, GIVEN])
    assert [one.error is None for one in found] == [True, False, True]
    with pytest.raises(InterpretationError, match=message):
        raise found[1].error or AssertionError


@pytest.mark.parametrize("family", ["lstm", "bert", "bert-mismatched", "roberta"])
@pytest.mark.parametrize("removal", ["delete", "zero"])
def test_the_tokens_of_the_explanation_are_the_spans(zoo: Zoo, family: str, removal: str) -> None:
    predictor = zoo.predictor(family)
    (found,) = LeaveOneOut(predictor, removal=removal, target="probability").interpret_json(GIVEN)
    (own,) = found.inputs
    scores = {
        span: score
        for span, score in zip(own.offsets, own.attributions, strict=True)
        if span is not None
    }
    for start, end in SPANS:
        assert (start, end) in scores
        assert TEXT[start:end] in own.tokens
    # What is in no unit stays in the text.
    assert all(score == 0 for span, score in scores.items() if list(span) not in SPANS)
    if removal == "delete":
        probabilities = predictor.predict_json({"sentence": TEXT})["probs"]
        label = probabilities.index(max(probabilities))
        left = predictor.predict_json({"sentence": "the plot was but long"})["probs"][label]
        assert scores[13, 20] == pytest.approx(probabilities[label] - left, abs=1e-5)


def test_gradients_are_added_up(zoo: Zoo) -> None:
    predictor = zoo.predictor("bert")
    (found,) = InputXGradient(predictor).interpret_json(GIVEN)
    (plain,) = InputXGradient(predictor).interpret_json({"sentence": TEXT})
    assert sum(found.inputs[0].attributions) == pytest.approx(sum(plain.inputs[0].attributions))
    assert "not bad" in found.inputs[0].tokens


def test_pairs_of_units(zoo: Zoo) -> None:
    (found,) = PairInteractions(zoo.predictor("lstm")).interpret_json(GIVEN)
    names = found.inputs[0].tokens
    pairs = {(names[one.first[1]], names[one.second[1]]) for one in found.interactions}
    assert pairs == {("the plot", "not bad"), ("the plot", "long"), ("not bad", "long")}


def test_one_text_of_two() -> None:
    predictor = Predictor.from_path(ROOT / "fixtures" / "entailment" / "model.tar.gz")
    given = {
        "premise": "the cheerful animal nibbles outside the lawn at noon.",
        "hypothesis": "the animal feasts outside the lawn.",
        "units": {"premise": [[0, 19], [20, 27], [28, 52]]},
    }
    method = LeaveOneOut(predictor, removal="delete", granularity="word")
    (found,) = method.interpret_json(given)
    by_field = {one.field: one for one in found.inputs}
    assert by_field["premise"].tokens == [
        "the cheerful animal",
        "nibbles",
        "outside the lawn at noon",
        ".",
    ]
    assert not any(by_field["hypothesis"].attributions)


def test_a_black_box() -> None:
    def total(texts: list[str]) -> list[float]:
        return [2.0 * ("not bad" in text) + ("plot" in text) for text in texts]

    found = explain_function(total, TEXT, "kernel-shap", units=SPANS)  # type: ignore[arg-type]
    (own,) = found.inputs
    assert own.tokens == ["the plot", "not bad", "long"]
    assert own.attributions == pytest.approx([1.0, 2.0, 0.0])


def test_metrics_of_units(zoo: Zoo) -> None:
    found = compare(
        zoo.predictor("bert"), [GIVEN], ["leave-one-out"], ["comprehensiveness"], ["delete"]
    )
    assert not found.errors
