"""Language models: what is explained of them besides what every predictor shows."""

from __future__ import annotations

import pytest

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from tests.zoo.allennlp_models import Archives

TEXT = {"sentence": "the dog had a little book in paris but she lived with"}
GAPS = {"sentence": "the [MASK] had a little book in paris but [MASK] lived ."}


def test_the_token_is_the_predicted_one(archives: Archives) -> None:
    """AllenNLP's own labels are its first character."""
    predictor = archives.predictor("next-token-lm")
    prediction = predictor.predict_json(TEXT)
    ((best,), *_) = prediction["top_tokens"]
    assert len(best) > 1
    (found,) = InputXGradient(predictor, target="probability").interpret_json(TEXT)
    assert found.target["label"] == best
    assert found.target["value"] == pytest.approx(prediction["probabilities"][0], rel=1e-5)


@pytest.mark.parametrize(("name", "text"), [("next-token-lm", TEXT), ("masked-lm", GAPS)])
def test_another_token_can_be_named(archives: Archives, name: str, text: dict[str, str]) -> None:
    predictor = archives.predictor(name)
    second = predictor.predict_json(text)
    word = second["top_tokens"][1][0] if name == "next-token-lm" else second["words"][0][1]
    value = second["probabilities"]
    expected = value[1] if name == "next-token-lm" else value[0][1]
    target = {"type": "probability", "label": word}
    found, *_ = InputXGradient(predictor, target=target).interpret_json(text)
    assert found.target["label"] == word
    assert found.target["value"] == pytest.approx(expected, rel=1e-5)


def test_each_gap_is_explained_where_it_stands(archives: Archives) -> None:
    predictor = archives.predictor("masked-lm")
    prediction = predictor.predict_json(GAPS)
    found = InputXGradient(predictor, target="logit").interpret_json(GAPS)
    assert [one.target["label"] for one in found] == [words[0] for words in prediction["words"]]
    for one in found:
        (place,) = one.target["positions"]
        assert one.inputs[0].tokens[place] == "[MASK]"
    # One gap's explanation is not the other's.
    assert found[0].inputs[0].attributions != found[1].inputs[0].attributions


def test_a_text_without_gaps_is_refused(archives: Archives) -> None:
    interpreter = InputXGradient(archives.predictor("masked-lm"))
    with pytest.raises(InterpretationError, match=r"No \[MASK\] tokens"):
        interpreter.interpret_json(TEXT)
