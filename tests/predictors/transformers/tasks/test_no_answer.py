"""Passages without an answer, by the logits that the model itself gives on ids."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.interpret.target.span_target import best_spans
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.tasks import question_answering
from tests.zoo.task_models import KINDS, model, tokenizer

GIVEN = {"question": "where does mary live?", "passage": "mary lives in paris, john in london"}


def made(name: str = "bert", **more: Any) -> Any:
    own = tokenizer(KINDS[name].tokenizer)
    return TransformersPredictor.from_pretrained(model(name, "question-answering"), own, **more)


def own_logits(predictor: Any, given: dict[str, str] = GIVEN) -> tuple[torch.Tensor, int]:
    """Start and end logit at the classification token, and where it is."""
    encoded = predictor._dataset_reader.tokenizer(
        given["question"], given["passage"], return_tensors="pt"
    )
    cls = predictor._dataset_reader.tokenizer.cls_token_id
    place = encoded.input_ids[0].tolist().index(cls)
    with torch.no_grad():
        found = predictor._model.transformer(**encoded)
    return torch.stack([found.start_logits[0, place], found.end_logits[0, place]]), place


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_predicted_and_explained(name: str) -> None:
    predictor = made(name)
    logits, place = own_logits(predictor)
    plain = predictor.predict_json(GIVEN)
    assert plain["no_answer"] is False
    assert plain["no_answer_start_logits"] == pytest.approx(float(logits[0]), abs=1e-5)
    best = sum(
        plain[key][at]
        for key, at in zip(
            ("span_start_logits", "span_end_logits"), plain["best_span"], strict=True
        )
    )
    gap = float(logits.sum()) - best
    for threshold, expected in ((gap - 1e-3, True), (gap + 1e-3, False)):
        for one in (predictor, made(name, no_answer=threshold)):
            given = {**GIVEN, "no_answer": threshold} if one is predictor else GIVEN
            found = one.predict_json(given)
            assert found["no_answer"] is expected
            assert (found["best_span_str"] == "") is expected
            (explanation,) = InputXGradient(one).interpret_json(given)
            assert explanation.target.get("no_answer", False) is expected
            if expected:
                assert explanation.target["label"] == ""
                assert explanation.target["field"] == "question"
                assert explanation.target["positions"] == [place]
                value = float(logits.sum())
                assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
                assert any(any(text.attributions) for text in explanation.inputs)
            else:
                assert explanation.target["value"] == pytest.approx(best, abs=1e-5)


def test_the_likelihood_of_no_answer() -> None:
    """Against all ends in the passage, by hand."""
    predictor = made(no_answer=-1e6)
    found = predictor.predict_json(GIVEN)
    (explanation,) = InputXGradient(predictor, target="log-likelihood").interpret_json(GIVEN)
    value = 0.0
    for end in ("start", "end"):
        own = torch.tensor([found[f"no_answer_{end}_logits"], *found[f"span_{end}_logits"]])
        value += float(own.log_softmax(0)[0])
    assert explanation.target["value"] == pytest.approx(value, abs=1e-5)


def test_in_a_batch_as_alone() -> None:
    predictor = made()
    asked = [GIVEN, {**GIVEN, "no_answer": -1e6}, {"question": "who?", "passage": "john"}]
    together = InputXGradient(predictor).interpret_batch_json(asked)
    for one, given in zip(together, asked, strict=True):
        (alone,) = InputXGradient(predictor).interpret_json(given)
        assert one[0].target["label"] == alone.target["label"]
        for mine, theirs in zip(one[0].inputs, alone.inputs, strict=True):
            assert mine.attributions == pytest.approx(theirs.attributions, abs=1e-5)


def test_in_windows_there_is_an_answer_if_any_window_has_one() -> None:
    predictor = made(no_answer=-1e6, overlong="window", max_length=24)
    given = {**GIVEN, "passage": f"{GIVEN['passage']} " * 3}
    found = predictor.predict_json(given)
    (explanation,) = InputXGradient(predictor).interpret_json(given)
    assert found["no_answer"] is True
    lowest = found["no_answer_start_logits"] + found["no_answer_end_logits"]
    assert explanation.target["value"] == pytest.approx(lowest, abs=1e-5)
    assert explanation.target["no_answer"] is True
    assert explanation.target["positions"] == [0]


def test_what_no_answer_may_be() -> None:
    with pytest.raises(InterpretationError, match="'no_answer' is true, false or a number"):
        made().predict_json({**GIVEN, "no_answer": "yes"})
    with pytest.raises(ConfigurationError, match="no_answer is true, false or the threshold"):
        made(no_answer="yes")
    with pytest.raises(ConfigurationError, match="no_answer is for question answering"):
        TransformersPredictor.from_pretrained(
            model("bert", "masked-lm"), tokenizer("wordpiece"), no_answer=True
        )


def test_a_batch_of_long_passages_takes_the_memory_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums of the logits of all spans are as many as a passage has pairs of tokens."""
    shapes: list[tuple[int, ...]] = []

    def watched(starts: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(starts.shape))
        return best_spans(starts, ends)

    monkeypatch.setattr(question_answering, "best_spans", watched)
    logits = torch.arange(12.0).view(3, 4)
    outputs = made()._model.make_output_human_readable(
        {"span_start_logits": logits, "span_end_logits": logits.flip(1)}
    )
    assert shapes == [(1, 4)] * 3
    assert outputs["best_span"] == [[0, 0]] * 3
