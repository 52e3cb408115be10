"""Texts that are longer than the model takes: refused, or read in windows, for each task."""

from __future__ import annotations

import math

import pytest

from allennlp_saliency.interpret import Explanation, InterpretationError
from allennlp_saliency.interpret.inputs.texts import word_spans
from tests.predictors.transformers.texts.overlong import CASES, LINE, explain, make, short, text_of
from tests.zoo.task_models import (
    KINDS,
    inputs,
    tokenizer,
)


@pytest.mark.parametrize("policy", ["truncate", "window"])
@pytest.mark.parametrize("task", CASES)
class TestEachTask:
    def test_what_was_done(self, task: str, policy: str) -> None:
        name, given = CASES[task]
        made = make(name, task, policy)
        explanations = explain(made, given)
        assert explanations
        for explanation in explanations[:20]:
            told = explanation.overlong
            assert told["policy"] == policy
            assert told["limit"] < 600 <= told["tokens"]
            LINE.validate({"prediction": {}, "instance_1": {"explanation": explanation.to_json()}})
            assert Explanation.from_json(explanation.to_json()) == explanation
            dropped = 0
            for one in explanation.inputs:
                assert len(one.tokens) == len(one.attributions)
                assert all(map(math.isfinite, one.attributions))
                if one.field == "generated":
                    continue
                text = text_of(given, one.field)
                covered = {p for span in one.offsets if span for p in range(*span)}
                assert covered >= {p for p, c in enumerate(text) if not c.isspace()}
                spans = [w[one.field] for w in told["windows"] if one.field in w]
                if not spans:
                    continue
                inside = {number for span in spans for number in range(*span)}
                for number, span in enumerate(one.offsets):
                    if span is not None and number not in inside:
                        dropped += 1
                        assert one.attributions[number] == 0
                    # No token of a window is without any effect in these models.
                    if number in inside:
                        assert one.attributions[number] != 0
            assert told["dropped"] == dropped
            warned = any(f"{dropped} of {told['tokens']} tokens" in w for w in explanation.warnings)
            assert warned == (dropped > 0)

    def test_labels_are_those_of_the_prediction(self, task: str, policy: str) -> None:
        name, given = CASES[task]
        made = make(name, task, policy)
        prediction = made.predict_json(given)
        assert prediction["overlong"]["policy"] == policy
        labels = [one.target["label"] for one in explain(made, given, "gradient")]
        if task == "text-classification":
            assert labels == [prediction["label"]]
        elif task == "question-answering":
            assert labels == [prediction["best_span_str"]]
        elif task == "multiple-choice":
            assert labels == [str(prediction["best"])]
        elif task == "token-classification":
            assert " ".join(labels).split() == [tag for tag in prediction["tags"] if tag != "O"]
        else:
            assert labels == prediction["tokens"]

    def test_words(self, task: str, policy: str) -> None:
        name, given = CASES[task]
        made = make(name, task, policy)
        for tokens, words in zip(
            explain(made, given)[:3], explain(made, given, granularity="word")[:3], strict=True
        ):
            for one, other in zip(tokens.inputs, words.inputs, strict=True):
                assert sum(other.attributions) == pytest.approx(sum(one.attributions), abs=1e-6)
                if one.field != "generated" and "[MASK]" not in text_of(given, one.field):
                    expected = word_spans(text_of(given, one.field))
                    assert [span for span in other.offsets if span is not None] == expected

    def test_as_without_where_the_text_fits(self, task: str, policy: str) -> None:
        name, _ = CASES[task]
        made = make(name, task, policy)
        for given in inputs(name, task):
            assert made.predict_json(given) == short(name, task).predict_json(given)
            for one, other in zip(
                explain(made, given), explain(short(name, task), given), strict=True
            ):
                assert one.overlong is None
                assert one.to_json() == other.to_json()


@pytest.mark.parametrize("task", CASES)
def test_error(task: str) -> None:
    name, given = CASES[task]
    made = make(name, task, "error")
    field = next(key for key in given if key not in ("question", "choices"))
    with pytest.raises(InterpretationError) as error:
        made.predict_json(given)
    message = str(error.value)
    count = len(tokenizer(KINDS[name].tokenizer)(given[field])["input_ids"])
    # The first of two texts has the special tokens before the second.
    own = {count, count - 1, count - 2}
    assert any(f"field {field!r} has {number} tokens" in message for number in own)
    assert f"takes at most {126 if name == 'roberta' else 128}" in message
    for way in ("shorten", "overlong='truncate'", "overlong='window'"):
        assert way in message
