"""Dialogs: one explanation for each question."""

from __future__ import annotations

from allennlp_saliency.interpret import InputXGradient
from tests.zoo.allennlp_models import ARCHIVES, Archives

DIALOG = ARCHIVES["dialog-qa"].inputs[0]


def test_each_question_is_explained_by_its_own_words(archives: Archives) -> None:
    predictor = archives.predictor("dialog-qa")
    answers = predictor.predict_json(dict(DIALOG))["best_span_str"]
    found = InputXGradient(predictor).interpret_json(dict(DIALOG))
    assert [one.target["label"] for one in found] == answers
    for number, one in enumerate(found):
        assert one.target["question"] == number
        texts = {text.field: text for text in one.inputs}
        passage = texts.pop("passage")
        assert any(passage.attributions)
        words = [passage.tokens[place] for place in one.target["positions"]]
        assert words == answers[number].split()
        for field, text in texts.items():
            assert any(text.attributions) == (field == f"question[{number}]")
