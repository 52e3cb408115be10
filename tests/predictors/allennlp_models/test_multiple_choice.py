"""Multiple choice: which alternative is explained, and how it is named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.data import Instance
from allennlp.data.fields import ListField, TransformerTextField

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.predictors.allennlp_models.multiple_choice import AlternativeLabels
from tests.zoo.allennlp_models import Archives

QUESTION = {
    "prefix": "john saw the film in paris",
    "alternatives": ["A great plot !", "Mary", "london"],
}
SHORTER = {"prefix": "awful", "alternatives": ["it was", "the good actor"]}


@pytest.fixture(scope="module")
def predictor(archives: Archives) -> Any:
    return archives.predictor("choices-piqa")


def test_the_alternative_is_named(predictor: Any) -> None:
    best = predictor.predict_json(dict(QUESTION))["best_alternative"]
    (one,) = InputXGradient(predictor).interpret_json(QUESTION)
    assert one.target["label"] == str(best)
    assert one.target["alternative"] == QUESTION["alternatives"][best]
    assert one.target["field"] == f"alternatives[{best}]"
    texts = {text.field: text for text in one.inputs}
    assert list(texts) == [f"alternatives[{n}]" for n in range(3)]
    own = [texts[one.target["field"]].tokens[n] for n in one.target["positions"]]
    text = "".join(own).replace("##", "")
    assert text == QUESTION["alternatives"][best].lower().replace(" ", "")


def test_every_alternative_may_be_explained(predictor: Any) -> None:
    logits = predictor.predict_json(dict(QUESTION))["logits"]
    found = InputXGradient(predictor, target="all-labels").interpret_json(QUESTION)
    assert [one.target["label"] for one in found] == ["0", "1", "2"]
    assert [one.target["alternative"] for one in found] == QUESTION["alternatives"]
    assert [one.target["value"] for one in found] == pytest.approx(logits, rel=1e-4, abs=1e-6)


def test_one_alternative_against_another(predictor: Any) -> None:
    logits = predictor.predict_json(dict(QUESTION))["logits"]
    target = {"type": "contrast", "label": "1", "against": "2"}
    (one,) = InputXGradient(predictor, target=target).interpret_json(QUESTION)
    assert one.target["alternative"] == "Mary"
    assert one.target["value"] == pytest.approx(logits[1] - logits[2], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("label", ["7", "Mary"])
def test_an_alternative_that_is_not_there(predictor: Any, label: str) -> None:
    target = {"type": "logit", "label": label}
    with pytest.raises(InterpretationError, match=label):
        InputXGradient(predictor, target=target).interpret_json(QUESTION)
    contrast = InputXGradient(predictor, target={"type": "contrast", "against": label})
    with pytest.raises(InterpretationError, match=label):
        contrast.interpret_json(QUESTION)


def test_an_alternative_that_only_another_question_has(predictor: Any) -> None:
    target = {"type": "contrast", "label": "1", "against": "2"}
    interpreter = InputXGradient(predictor, target=target)
    longer, shorter = interpreter.interpret_each([QUESTION, SHORTER])
    assert longer.error is None
    assert "'2'" in str(shorter.error)


@pytest.mark.parametrize("target", ["log-likelihood", "probability", "entropy"])
def test_other_questions_have_other_numbers_of_alternatives(predictor: Any, target: str) -> None:
    interpreter = InputXGradient(predictor, target=target)
    together = interpreter.interpret_batch_json([QUESTION, SHORTER])
    for given, found in zip((QUESTION, SHORTER), together, strict=True):
        (alone,) = interpreter.interpret_json(given)
        value = pytest.approx(alone.target["value"], rel=1e-5)
        assert found[0].target == {**alone.target, "value": value}
        assert ("alternative" in alone.target) == (target != "entropy")
        assert len(found[0].inputs) == len(given["alternatives"])


def test_instances_of_a_reader_are_explained_too(predictor: Any) -> None:
    instance = predictor._dataset_reader.text_to_instance(
        "q1", QUESTION["prefix"], QUESTION["alternatives"], 1
    )
    (found,) = InputXGradient(predictor).interpret_each_instance([instance])
    assert found.error is None
    (one,) = found.explanations
    (expected,) = InputXGradient(predictor).interpret_json(QUESTION)
    assert one.inputs == expected.inputs
    # The model's words are in lower case.
    assert one.target["alternative"] == expected.target["alternative"].lower()


def test_the_words_of_prompt_and_alternative_stay_apart(predictor: Any) -> None:
    (one,) = InputXGradient(predictor, granularity="word").interpret_json(QUESTION)
    second = one.inputs[1]
    assert second.field == "alternatives[1]"
    prompt = QUESTION["prefix"].split()
    assert second.tokens == ["[CLS]", *prompt, "[SEP]", "mary", "[SEP]"]


def test_fields_without_tokens_are_refused(predictor: Any) -> None:
    ids = TransformerTextField(torch.tensor([1, 2]), None, torch.tensor([True, True]))
    instance = Instance({"alternatives": ListField([ids, ids])})
    with pytest.raises(InterpretationError, match="no tokens to score"):
        AlternativeLabels().labelled(predictor, instance, {"logits": [0.0, 1.0]})
