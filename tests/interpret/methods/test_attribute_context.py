"""Tokens that depend on a context, and where in it they come from, planted in trained models."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    AttributeContext,
    Explanation,
    IntegratedGradients,
    InterpretationError,
)
from allennlp_saliency.interpret.inputs.given_context import context_spans, sentences_of
from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor
from tests.zoo import Zoo
from tests.zoo.task_models import KINDS, tokenizer
from tests.zoo.task_models import predictor as of_task

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
JsonDict = dict[str, Any]


@cache
def fixture(name: str) -> Predictor:
    return Predictor.from_path(FIXTURES / name / "model.tar.gz", import_plugins=False)


def lines(name: str, count: int) -> list[JsonDict]:
    found = (FIXTURES / name / "inputs.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in found[:count]]


def right(name: str, inputs: list[JsonDict]) -> list[JsonDict]:
    """The inputs that the model does as it was taught."""
    outputs = fixture(name).predict_batch_json(inputs)
    return [
        one
        for one, out in zip(inputs, outputs, strict=True)
        if out["text"].removesuffix("</s>").strip() == one["label"]
    ]


def best_span(explanation: Explanation, field: str) -> tuple[int, int]:
    own = next(one for one in explanation.inputs if one.field == field)
    span = own.offsets[int(np.argmax(own.attributions))]
    assert span is not None
    return span


def listed(count: int) -> list[JsonDict]:
    """Lists of words that begin anew: the context is the list, the question where it begins."""
    given = []
    for one in right("copy-lm", lines("copy-lm", count)):
        words = one["prompt"].split()
        again = next(n for n, word in enumerate(words) if word in words[:n])
        context = " ".join(words[:again])
        given.append({**one, "context": context})
    return given


class TestCausalModel:
    def test_every_word_comes_from_its_place_in_the_list(self) -> None:
        given = listed(24)
        assert len(given) > 20
        hits = []
        for one, found in zip(
            given, AttributeContext(fixture("copy-lm")).interpret_batch_json(given), strict=True
        ):
            assert len(found) == 3, "without the list there is nothing to go on from"
            for number, explanation in enumerate(found):
                context = explanation.details["context"]
                assert context["token"] == number
                assert [own["token"].strip("Ġ") for own in context["answer"]] == one[
                    "label"
                ].split()
                assert context["answer"][number]["value"] == explanation.target["value"] >= 0.1
                ((start, end),) = one["rationale"][number]
                first, _ = best_span(explanation, "prompt")
                hits.append(start <= first < end)
        assert np.mean(hits) >= 0.95

    def test_the_part_that_goes_on_has_the_larger_score(self) -> None:
        given = []
        for one in listed(16):
            # The other part has other words.
            others = "amber basket helmet lemon olive tulip".split()
            other = " ".join([word for word in others if word not in one["prompt"].split()][:3])
            parts = [(0, len(other)), (len(other) + 1, len(other) + 1 + len(one["context"]))]
            prompt = f"{other} {one['prompt']}"
            asked = {"context": parts, "units": {"prompt": parts}, "label": one["label"].split()[0]}
            given.append({"prompt": prompt, "max_new_tokens": 1, **asked})
        given = right("copy-lm", given)
        assert len(given) > 12
        for method in ("integrated-gradients", "leave-one-out"):
            interpreter = AttributeContext(fixture("copy-lm"), method=method)
            hits = []
            for one, (explanation,) in zip(
                given, interpreter.interpret_batch_json(given), strict=True
            ):
                noise, source = explanation.details["context"]["sentences"]
                assert [noise["span"], source["span"]] == [list(span) for span in one["context"]]
                assert noise["text"] == one["prompt"][slice(*noise["span"])]
                hits.append(source["score"] > noise["score"])
            assert np.mean(hits) >= 0.9

    def test_words_that_are_not_needed_are_no_context(self) -> None:
        """Without the first word of a list that goes on elsewhere the answer is the same."""
        given = [
            {**one, "context": [0, len(one["prompt"].split()[0])]}
            for one in listed(24)
            if one["rationale"][0][0][0] > 20
        ]
        assert len(given) > 4
        interpreter = AttributeContext(fixture("copy-lm"), threshold=1.0)
        dependent = 0
        for found in interpreter.interpret_batch_json(given):
            if any("no token of the answer depends" in one for one in found[0].warnings):
                (explanation,) = found
                assert not any(x for own in explanation.inputs for x in own.attributions)
            else:
                dependent += 1
        assert dependent <= len(given) // 4


class TestSequenceToSequence:
    def test_a_translated_word_depends_on_its_source_alone(self) -> None:
        """The context is the last word of the source: its translation depends on it, no other."""
        exact, hits = [], []
        for one in right("translate", lines("translate", 16)):
            last = one["source"].rindex(" ") + 1
            given = {**one, "context": [last, len(one["source"])]}
            found = AttributeContext(fixture("translate")).interpret_json(given)
            own = [n for n, spans in enumerate(one["rationale"]) if spans[0][0] == last]
            exact.append([one.details["context"]["token"] for one in found] == own)
            hits += [best_span(explanation, "source")[0] == last for explanation in found]
        assert len(exact) > 12
        assert np.mean(exact) >= 0.9
        assert np.mean(hits) >= 0.9


class TestByHand:
    GIVEN: ClassVar[JsonDict] = {
        "prompt": "john smith lived in paris. mary lived in",
        "context": "john smith lived in paris.",
        "continuation": " paris and",
    }

    def log_probs(self, prompt: str) -> tuple[list[torch.Tensor], list[int]]:
        own: Any = of_task("gpt2", "causal-lm")._model.transformer  # type: ignore[union-attr]
        split = tokenizer(KINDS["gpt2"].tokenizer)
        before = split(prompt, return_tensors="pt").input_ids
        after = split(self.GIVEN["continuation"], return_tensors="pt").input_ids
        with torch.no_grad():
            logits = own(input_ids=torch.cat([before, after], 1)).logits[0]
        return list(logits[before.shape[1] - 1 : -1].log_softmax(-1).double()), after[0].tolist()

    @pytest.mark.parametrize("target", ["p-cxmi", "kl-divergence"])
    def test_the_numbers_are_those_of_the_model(self, target: str) -> None:
        with_it, ids = self.log_probs(self.GIVEN["prompt"])
        without, _ = self.log_probs("mary lived in")
        found = AttributeContext(
            of_task("gpt2", "causal-lm"), method="input-x-gradient", threshold=0, target=target
        ).interpret_json(self.GIVEN)
        assert len(found) == len(ids)
        for p, q, own, explanation in zip(with_it, without, ids, found, strict=True):
            kl = float((p.exp() * (p - q)).sum())
            expected = float(p[own] - q[own]) if target == "p-cxmi" else kl
            assert explanation.target["value"] == pytest.approx(expected, abs=1e-5)

    def test_scores_are_the_methods_own(self) -> None:
        predictor = of_task("gpt2", "causal-lm")
        method = {"type": "integrated-gradients", "steps": 8}
        for threshold in (0.0, 1e-3):
            found = AttributeContext(predictor, method=method, threshold=threshold)
            explanations = found.interpret_json(self.GIVEN)
            plain = IntegratedGradients(predictor, steps=8).interpret_json(
                {key: value for key, value in self.GIVEN.items() if key != "context"}
            )
            for one in explanations:
                expected = plain[one.details["context"]["token"]]
                for own, other in zip(one.inputs, expected.inputs, strict=True):
                    assert own.attributions == pytest.approx(other.attributions, abs=1e-5)
                assert one.convergence_delta is not None
                (sentence,) = one.details["context"]["sentences"]
                assert sentence["text"] == self.GIVEN["context"]
                prompt = next(own for own in one.inputs if own.field == "prompt")
                inside = [
                    score
                    for span, score in zip(prompt.offsets, prompt.attributions, strict=True)
                    if span is not None and span[0] < len(self.GIVEN["context"])
                ]
                assert sentence["score"] == pytest.approx(sum(inside))

    def test_in_a_batch_and_by_the_command(self) -> None:
        predictor = of_task("gpt2", "causal-lm")
        bad = {"prompt": "mary lived in", "context": "in rome"}
        interpreter = AttributeContext(predictor, threshold=0)
        done = interpreter.interpret_each([self.GIVEN, bad, self.GIVEN], predict=True)
        alone = interpreter.interpret_json(self.GIVEN)
        assert isinstance(done[1].error, InterpretationError)
        for one in (done[0], done[2]):
            assert one.error is None
            assert one.prediction is not None
            for own, other in zip(one.explanations, alone, strict=True):
                for left, right_one in zip(own.inputs, other.inputs, strict=True):
                    assert left.attributions == pytest.approx(right_one.attributions, abs=1e-5)
                again = Explanation.from_json(json.loads(json.dumps(own.to_json())))
                assert again == own

    def test_an_unknown_predictor_is_refused(self, zoo: Zoo) -> None:
        with pytest.raises(ConfigurationError, match="use 'leave-one-out' with units 'sentence'"):
            AttributeContext(zoo.predictor("bert"))
        predictor = of_task("gpt2", "causal-lm")
        with pytest.raises(ConfigurationError, match="'p-cxmi' or 'kl-divergence'"):
            AttributeContext(predictor, target="logit")
        for wrong in (
            {"threshold": -1},
            {"method": "nothing"},
            {"method": {"type": "gradient", "target": "logit"}},
        ):
            with pytest.raises(ConfigurationError):
                AttributeContext(predictor, **wrong)

    def test_instances_name_no_context(self) -> None:
        predictor = of_task("gpt2", "causal-lm")
        instance = predictor._dataset_reader.text_to_instance(prompt="mary lived in")
        (done,) = AttributeContext(predictor).interpret_each_instance([instance])
        assert "names no context" in str(done.error)


class TestContexts:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("one two", [(0, 7)]),
            ([4, 7], [(4, 7)]),
            ([[8, 13], [0, 3]], [(0, 3), (8, 13)]),
            ((0, 3), [(0, 3)]),
        ],
    )
    def test_spans(self, given: Any, expected: Any) -> None:
        assert context_spans({"prompt": "one two three", "context": given}, "prompt") == expected

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            (None, "is a part of 'prompt'"),
            ("", "is a part of 'prompt'"),
            ("four", "is not a part of 'prompt'"),
            ("t", "more than once; name the place by its characters, [4, 5]"),
            ([], "is a part of 'prompt'"),
            ([0, 99], "is no span"),
            ([[3, 3]], "is no span"),
            ([[True, 2]], "is no span"),
            ({"start": 0}, "is a part of 'prompt'"),
            (3, "is a part of 'prompt'"),
        ],
    )
    def test_what_is_none(self, given: Any, why: str) -> None:
        with pytest.raises(InterpretationError) as raised:
            context_spans({"prompt": "one two three", "context": given}, "prompt")
        assert why in str(raised.value)

    def test_without_a_text(self) -> None:
        with pytest.raises(InterpretationError, match="give the text itself there, also of a chat"):
            context_spans({"messages": [], "context": "x"}, "prompt")

    def test_sentences_within_the_spans(self) -> None:
        text = "First here. Second one. Third? Last."
        assert sentences_of(text, [(0, 23), (31, 36)]) == [(0, 11), (12, 23), (31, 36)]


def test_by_the_saliency_predictor() -> None:
    owner = fixture("copy-lm")
    saliency = SaliencyPredictor(
        owner._model, owner._dataset_reader, interpreter="attribute-context"
    )
    (one,) = listed(1)
    found = saliency.predict_json(one)
    assert [key for key in found if key.startswith("instance_")] == [
        "instance_1",
        "instance_2",
        "instance_3",
    ]
    context = found["instance_1"]["explanation"]["details"]["context"]
    assert context["sentences"][0]["text"] == one["context"]
