"""What is left after a deletion is predicted as if it had been written so."""

from __future__ import annotations

import json
import math
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    InterpretationError,
    KernelShap,
    LeaveOneOut,
    NotApplicableError,
    Random,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.coalitions.removal import removal_of
from allennlp_saliency.interpret.faithfulness import Comprehensiveness, Measuring, compare
from allennlp_saliency.interpret.inputs.texts import word_spans
from tests.zoo import task_models

ROOT = Path(__file__).resolve().parents[3]
SPACED = "the first scene was long ; it was not good at all"


@cache
def fixture(name: str) -> Predictor:
    return Predictor.from_path(ROOT / "fixtures" / name / "model.tar.gz")


def inputs(name: str, keys: tuple[str, ...], count: int = 3) -> list[dict[str, Any]]:
    with (ROOT / "fixtures" / name / "inputs.jsonl").open(encoding="utf-8") as lines:
        return [{key: json.loads(line)[key] for key in keys} for line in islice(lines, count)]


def words_left_out(text: str) -> list[tuple[str, str]]:
    """Each word, and the text without it, with the spaces that are usual."""
    found = []
    for start, end in word_spans(text):
        before, behind = text[:start], text[end:]
        if before.endswith(" ") and behind.startswith(" "):
            behind = behind[1:]
        found.append((text[start:end], (before + behind).strip()))
    return found


def probability(predictor: Predictor, given: dict[str, Any], label: int) -> float:
    outputs = predictor.predict_json(given)
    key = next(key for key in ("probs", "label_probs") if key in outputs)
    return float(outputs[key][label])


def check_brute_force(predictor: Predictor, given: list[dict[str, Any]], keys: list[str]) -> None:
    method = LeaveOneOut(predictor, removal="delete", granularity="word", target="probability")
    for one, explanations in zip(given, method.interpret_batch_json(given), strict=True):
        explanation = explanations[0]
        outputs = predictor.predict_json(one)
        probabilities = next(outputs[key] for key in ("probs", "label_probs") if key in outputs)
        label = max(range(len(probabilities)), key=probabilities.__getitem__)
        fields = {attribution.field: attribution for attribution in explanation.inputs}
        for key in keys:
            found = fields.get(key) or fields["tokens"]
            scores = {
                span: score
                for span, score in zip(found.offsets, found.attributions, strict=True)
                if span is not None
            }
            text = one[key]
            spans = word_spans(text)
            assert len(spans) > 2
            for span, (word, left) in zip(spans, words_left_out(text), strict=True):
                value = probability(predictor, {**one, key: left}, label)
                expected = probabilities[label] - value
                assert scores[span] == pytest.approx(expected, abs=1e-5), word


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("sentiment", ["sentence"]),
        ("sentiment-lstm", ["sentence"]),
        ("topics", ["sentence"]),
        ("multi-label", ["sentence"]),
        ("entailment", ["premise", "hypothesis"]),
    ],
)
def test_leave_one_out_is_brute_force_by_predictions(name: str, keys: list[str]) -> None:
    check_brute_force(fixture(name), inputs(name, tuple(keys)), keys)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_leave_one_out_is_brute_force_on_hugging_face_models(name: str) -> None:
    task = "text-classification"
    given = [one for one in task_models.inputs(name, task) if "sentence" in one]
    check_brute_force(task_models.predictor(name, task), given, ["sentence"])


def test_a_choice_is_read_again_with_the_prompt() -> None:
    predictor = fixture("choices")
    (given,) = inputs("choices", ("prompt", "choices"), 1)
    method = LeaveOneOut(predictor, removal="delete", granularity="word", target="probability")
    (explanation,) = method.interpret_json(given)
    probabilities = predictor.predict_json(given)["probs"]
    label = max(range(len(probabilities)), key=probabilities.__getitem__)
    assert explanation.target["value"] == pytest.approx(probabilities[label], abs=1e-5)
    (own,) = [one for one in explanation.inputs if one.field == "choices[1]"]
    words = words_left_out(given["choices"][1])
    assert len(own.tokens) - 1 == len(words)  # and a special token
    for score, (_, left) in zip(own.attributions, words, strict=False):
        choices = [left if n == 1 else text for n, text in enumerate(given["choices"])]
        value = probability(predictor, {**given, "choices": choices}, label)
        assert score == pytest.approx(probabilities[label] - value, abs=1e-5)


def test_a_generated_token_after_another_prompt() -> None:
    predictor = fixture("copy-lm")
    given = {"prompt": "beacon violet cedar engine violet", "continuation": " cedar engine"}
    method = LeaveOneOut(predictor, removal="delete", units="word", target="probability")
    value_of = Random(predictor, target="probability").interpret_json
    explained = method.interpret_json(given)
    assert len(explained) == 2
    for number, explanation in enumerate(explained):
        (own,) = [one for one in explanation.inputs if one.field == "prompt"]
        words = words_left_out(given["prompt"])
        for score, (_, left) in zip(own.attributions, words, strict=True):
            other = value_of({**given, "prompt": left})[number].target["value"]
            assert score == pytest.approx(explanation.target["value"] - other, abs=1e-5)


def test_the_input_is_left_as_it_is() -> None:
    (given,) = inputs("entailment", ("premise", "hypothesis"), 1)
    copy = json.loads(json.dumps(given))
    LeaveOneOut(fixture("entailment"), removal="delete").interpret_json(given)
    assert given == copy


def test_an_empty_text_has_the_value_that_the_model_gives_it() -> None:
    predictor = fixture("sentiment")
    given = {"sentence": "the plot was weak"}
    method = KernelShap(predictor, removal="delete", target="probability")
    (explanation,) = method.interpret_json(given)
    label = predictor.predict_json(given)["probs"].index(
        max(predictor.predict_json(given)["probs"])
    )
    empty = probability(predictor, {"sentence": ""}, label)
    assert explanation.target["baseline_value"] == pytest.approx(empty, abs=1e-5)
    assert explanation.convergence_delta == pytest.approx(0.0, abs=1e-5)


def test_a_model_that_takes_no_empty_text_says_so() -> None:
    with pytest.raises(InterpretationError, match=r"'sentence' is empty, and .* 'mask'"):
        KernelShap(fixture("sentiment-lstm"), removal="delete").interpret_json(
            {"sentence": "the plot was weak"}
        )


@pytest.mark.parametrize("name", ["ner", "question-answering"])
def test_labels_of_tokens_are_refused(name: str) -> None:
    keys = ("sentence",) if name == "ner" else ("question", "passage")
    (given,) = inputs(name, keys, 1)
    with pytest.raises(NotApplicableError, match=r"belongs to tokens .* 'mask'"):
        LeaveOneOut(fixture(name), removal="delete").interpret_json(given)


def test_instances_are_refused() -> None:
    predictor = fixture("sentiment-lstm")
    instance = predictor._json_to_instance({"sentence": SPACED})
    (found,) = LeaveOneOut(predictor, removal="delete").interpret_each_instance([instance])
    assert isinstance(found.error, InterpretationError)
    assert "instances were given" in str(found.error)


def test_a_batch_is_its_inputs_alone() -> None:
    predictor = fixture("sentiment")
    given = inputs("sentiment", ("sentence",), 6)
    method = LeaveOneOut(predictor, removal="delete")
    together = [one.to_json() for (one,) in method.interpret_batch_json(given)]
    alone = [method.interpret_json(one)[0].to_json() for one in given]
    for one, other in zip(together, alone, strict=True):
        assert one["inputs"][0]["attributions"] == pytest.approx(
            other["inputs"][0]["attributions"], abs=1e-5
        )


def test_a_removal_is_written_in_the_explanation_and_made_again_of_it() -> None:
    predictor = fixture("sentiment")
    for removal in ("delete", "mask", {"type": "token", "token": "the"}):
        config = LeaveOneOut(predictor, removal=removal).config()
        again = SaliencyInterpreter.from_params(Params(dict(config)), predictor=predictor)
        assert again.config() == config
    assert LeaveOneOut(predictor, removal="delete").config()["removal"] == {"type": "delete"}
    assert (
        LeaveOneOut(predictor, baseline="mask").config()
        == LeaveOneOut(predictor, removal="mask").config()
    )


def test_what_is_no_removal() -> None:
    predictor = fixture("sentiment")
    with pytest.raises(ConfigurationError, match=r"'removal': there is no 'no-such'.* delete"):
        LeaveOneOut(predictor, removal="no-such")
    with pytest.raises(ConfigurationError, match="'removal' alone"):
        LeaveOneOut(predictor, removal="delete", baseline="mask")
    with pytest.raises(ConfigurationError, match="is an object, a name"):
        removal_of(3)


def test_metrics_delete_too() -> None:
    predictor = fixture("sentiment")
    given = {"sentence": "the plot was weak and long"}
    explanations = LeaveOneOut(
        predictor, removal="delete", granularity="word", target="probability"
    ).interpret_batch_json([given])
    measuring = Measuring(
        predictor, {"one": explanations}, {"c": Comprehensiveness()}, removal="delete"
    )
    ((measured,),) = measuring.measurements([given])
    (own,) = explanations[0][0].inputs
    scored = [
        (score, span)
        for score, span in zip(own.attributions, own.offsets, strict=True)
        if span is not None
    ]
    order = sorted(range(len(scored)), key=lambda n: -scored[n][0])
    words = given["sentence"].split()
    outputs = predictor.predict_json(given)["probs"]
    label = outputs.index(max(outputs))
    losses = []
    for k in range(1, len(words) + 1):
        left = " ".join(word for n, word in enumerate(words) if n not in order[:k])
        losses.append(outputs[label] - probability(predictor, {"sentence": left}, label))
    expected = sum(losses) / len(losses)
    assert measured["one"]["c"] == pytest.approx(expected, abs=1e-5)


def test_methods_are_compared_by_deletion() -> None:
    found = compare(
        fixture("sentiment"),
        inputs("sentiment", ("sentence",), 3),
        ["leave-one-out"],
        ["comprehensiveness"],
        ["delete", "mask"],
    )
    assert found.removals == ["delete", "mask"]
    assert not found.errors
    assert math.isfinite(found.interval("leave-one-out", "comprehensiveness", "delete").mean)
