"""Texts that are longer than the model takes: refused, cut, or read in windows."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from jsonschema import Draft202012Validator

from allennlp_saliency.interpret import Explanation, InterpretationError, SaliencyInterpreter
from allennlp_saliency.interpret.inputs.words import word_spans
from allennlp_saliency.predictors import SaliencyPredictor, TransformersPredictor
from allennlp_saliency.predictors.transformers.archive import write_archive
from allennlp_saliency.predictors.transformers.texts.overlong import (
    LongText,
    window_around,
    window_of_most_context,
    window_spans,
)
from tests.predictors.transformers.models import (
    KINDS,
    LABELS,
    inputs,
    model,
    tokenizer,
)

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "explanation.schema.json").read_text(encoding="utf-8")
)
LINE = Draft202012Validator(SCHEMA)
# Words that are one token for every tokenizer, so that a part of the text has a part of the tokens.
WORDS = "a in live lives london mary not paris".split()
LONG = " " + " ".join(random.Random(0).choices(WORDS, k=600))
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "text-classification": ("bert", {"sentence": LONG}),
    "token-classification": ("bert", {"sentence": LONG}),
    "question-answering": ("roberta", {"question": "where is it?", "passage": LONG}),
    "multiple-choice": ("bert", {"prompt": LONG, "choices": ["a film", "great, very great"]}),
    "masked-lm": ("bert", {"sentence": f"a [MASK] {LONG} [MASK] {LONG} [MASK] film"}),
    "causal-lm": ("gpt2", {"prompt": LONG, "max_new_tokens": 3}),
    "seq2seq": ("bart", {"source": LONG, "max_new_tokens": 3}),
}


def make(name: str, task: str, overlong: str = "window", **more: Any) -> Any:
    return TransformersPredictor.from_pretrained(
        network(name, task), tokenizer(KINDS[name].tokenizer), overlong=overlong, **more
    )


@cache
def network(name: str, task: str) -> Any:
    own = model(name, task)
    if task == "token-classification":
        # So that there are some entities and not hundreds.
        own.classifier.bias.data[0] += 3.0
    return own


@cache
def short(name: str, task: str) -> Any:
    """A predictor of the same model that refuses long texts."""
    return make(name, task, "error")


def explain(made: Any, given: Any, method: str = "input-x-gradient", **more: Any) -> Any:
    interpreter: Any = SaliencyInterpreter.by_name(method)(made, **more)
    return interpreter.interpret_json(given)


def read(explanation: Explanation) -> list[list[int]]:
    """Where the windows stand, of the one text that is cut."""
    assert explanation.overlong is not None
    return [span for window in explanation.overlong["windows"] for span in window.values()]


def part(offsets: Any, start: int, end: int) -> str:
    """Some tokens of the long text, with the space before them."""
    return LONG[offsets[start][0] - 1 : offsets[end - 1][1]]


def text_of(given: dict[str, Any], field: str) -> str:
    name, _, item = field.partition("[")
    return given[name][int(item[:-1])] if item else given[name]


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


class TestSumOfWindows:
    """Windows explained by hand, by a predictor that never saw the long text."""

    @pytest.mark.parametrize(
        "method", ["gradient", "input-x-gradient", "integrated-gradients", "deeplift"]
    )
    def test_a_sentence(self, method: str) -> None:
        made, plain = make("bert", "text-classification"), short("bert", "text-classification")
        prediction = made.predict_json({"sentence": LONG})
        (explanation,) = explain(made, {"sentence": LONG}, method)
        windows = read(explanation)
        assert len(windows) > 5
        assert all(left[1] > right[0] for left, right in pairwise(windows))
        assert (windows[0][0], windows[-1][1]) == (1, len(explanation.inputs[0].tokens) - 1)
        (one,) = explanation.inputs
        totals = [0.0] * len(one.tokens)
        target = {"type": "log-likelihood", "label": prediction["label"]}
        values, deltas, probs = [], [], []
        for start, end in windows:
            given = {"sentence": part(one.offsets, start, end)}
            (alone,) = explain(plain, given, method, target=target)
            probs.append(plain.predict_json(given)["probs"])
            places = [0, *range(start, end), len(totals) - 1]
            for place, score in zip(places, alone.inputs[0].attributions, strict=True):
                totals[place] += score / len(windows)
            values.append(alone.target["value"])
            deltas.append(alone.convergence_delta)
        assert one.attributions == pytest.approx(totals, abs=1e-5)
        mean = [sum(column) / len(windows) for column in zip(*probs, strict=True)]
        assert prediction["probs"] == pytest.approx(mean, abs=1e-6)
        assert prediction["label"] == LABELS[mean.index(max(mean))]
        assert explanation.target["value"] == pytest.approx(sum(values) / len(values), abs=1e-5)
        if explanation.convergence_delta is not None:
            lacking = sum(deltas) / len(deltas)
            assert explanation.convergence_delta == pytest.approx(lacking, abs=1e-4)
            change = explanation.target["value"] - explanation.target["baseline_value"]
            total = sum(one.attributions) + one.unassigned
            assert total + explanation.convergence_delta == pytest.approx(change, abs=1e-9)

    def test_every_label(self) -> None:
        made, plain = make("bert", "text-classification"), short("bert", "text-classification")
        explanations = explain(made, {"sentence": LONG}, target="all-labels")
        assert [one.target["label"] for one in explanations] == list(LABELS)
        windows = read(explanations[0])
        offsets = explanations[0].inputs[0].offsets
        by_hand = [
            explain(plain, {"sentence": part(offsets, a, b)}, target="all-labels")
            for a, b in windows
        ]
        for number, explanation in enumerate(explanations):
            value = sum(one[number].target["value"] for one in by_hand) / len(windows)
            assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
            total = sum(sum(one[number].inputs[0].attributions) for one in by_hand) / len(windows)
            assert sum(explanation.inputs[0].attributions) == pytest.approx(total, abs=1e-5)

    def test_a_number(self) -> None:
        own = model("bert", "text-classification", num_labels=1)
        made = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"), overlong="window")
        plain = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))
        (explanation,) = explain(made, {"sentence": LONG})
        offsets = explanation.inputs[0].offsets
        numbers = [
            plain.predict_json({"sentence": part(offsets, a, b)})["score"]
            for a, b in read(explanation)
        ]
        mean = sum(numbers) / len(numbers)
        assert made.predict_json({"sentence": LONG})["score"] == pytest.approx(mean, abs=1e-5)
        assert explanation.target["value"] == pytest.approx(mean, abs=1e-5)

    def test_several_labels(self) -> None:
        own = model("bert", "text-classification", problem_type="multi_label_classification")
        own.classifier.bias.data += 1.0
        made = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"), overlong="window")
        plain = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))
        explanations = explain(made, {"sentence": LONG})
        offsets = explanations[0].inputs[0].offsets
        probs = torch.tensor(
            [
                plain.predict_json({"sentence": part(offsets, a, b)})["probs"]
                for a, b in read(explanations[0])
            ]
        ).mean(0)
        there = [LABELS[n] for n in range(3) if probs[n] > 0.5]
        assert len(there) > 1
        assert [one.target["label"] for one in explanations] == there

    def test_a_pair(self) -> None:
        made, plain = make("bert", "text-classification"), short("bert", "text-classification")
        given = {"premise": "a great film", "hypothesis": LONG}
        (explanation,) = explain(made, given)
        hypothesis, premise = explanation.inputs
        totals = [0.0] * len(premise.tokens)
        target = {"type": "log-likelihood", "label": explanation.target["label"]}
        windows = read(explanation)
        for a, b in windows:
            text = part(hypothesis.offsets, a, b)
            (alone,) = explain(plain, {**given, "hypothesis": text}, target=target)
            scores = alone.inputs[1].attributions
            totals = [total + one / len(windows) for total, one in zip(totals, scores, strict=True)]
        assert premise.attributions == pytest.approx(totals, abs=1e-5)

    def test_a_source(self) -> None:
        made, plain = make("bart", "seq2seq"), short("bart", "seq2seq")
        explanations = explain(made, {"source": LONG, "target": "very good"})
        offsets = explanations[0].inputs[1].offsets
        windows = read(explanations[0])
        by_hand = [
            explain(plain, {"source": part(offsets, a, b), "target": "very good"})
            for a, b in windows
        ]
        for number, explanation in enumerate(explanations):
            value = sum(one[number].target["value"] for one in by_hand) / len(windows)
            assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
            written = [one[number].inputs[0].attributions for one in by_hand]
            mean = [sum(column) / len(windows) for column in zip(*written, strict=True)]
            assert explanation.inputs[0].attributions == pytest.approx(mean, abs=1e-5)

    def test_the_label_is_that_of_all_windows(self) -> None:
        own = model("bert", "text-classification")
        plain = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))
        made = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"), overlong="window")
        offsets = explain(made, {"sentence": LONG})[0].inputs[0].offsets
        windows = read(explain(made, {"sentence": LONG})[0])
        parts = [{"sentence": part(offsets, a, b)} for a, b in windows]
        mean = torch.tensor([plain.predict_json(one)["logits"] for one in parts]).mean(0)
        # Now the classes are about as probable, so that windows differ in the best.
        own.classifier.bias.data -= mean
        made = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"), overlong="window")
        plain = TransformersPredictor.from_pretrained(own, tokenizer("wordpiece"))
        alone = [plain.predict_json(one) for one in parts]
        assert len({one["label"] for one in alone}) > 1
        probs = torch.tensor([one["probs"] for one in alone]).mean(0)
        label = LABELS[int(probs.argmax())]
        (explanation,) = explain(made, {"sentence": LONG})
        assert (
            explanation.target["label"] == label == made.predict_json({"sentence": LONG})["label"]
        )
        logs = [math.log(one["probs"][LABELS.index(label)]) for one in alone]
        assert explanation.target["value"] == pytest.approx(sum(logs) / len(logs), abs=1e-5)

    def test_what_is_written_after_a_source(self) -> None:
        made = make("bart", "seq2seq")
        prediction = made.predict_json({"source": LONG, "max_new_tokens": 3})
        own = short("bart", "seq2seq")._model.transformer
        ids = tokenizer("bytes")(LONG)["input_ids"]
        windows = [window["source"] for window in prediction["overlong"]["windows"]]
        batch = torch.tensor([[ids[0], *ids[a:b], ids[-1]] for a, b in windows])
        written: list[int] = []
        for _ in prediction["token_ids"]:
            start = [own.config.decoder_start_token_id, *written]
            before = torch.tensor([start] * len(windows))
            with torch.no_grad():
                logits = own(input_ids=batch, decoder_input_ids=before).logits[:, -1]
            probs = logits.softmax(-1).mean(0)
            written.append(int(probs.argmax()))
            log_prob = prediction["log_probs"][len(written) - 1]
            assert log_prob == pytest.approx(math.log(float(probs.max())), abs=1e-4)
        assert prediction["token_ids"] == written


class TestOneWindow:
    """Of several windows the one that has what is explained."""

    def test_an_entity_in_the_middle(self) -> None:
        made, plain = (
            make("bert", "token-classification"),
            short("bert", "token-classification"),
        )
        explanations = explain(made, {"sentence": LONG})
        middle = explanations[len(explanations) // 2]
        ((start, end),) = read(middle)
        first, last = middle.target["positions"][0], middle.target["positions"][-1]
        assert start <= first <= last < end
        # Neighbouring windows share half: each token has a quarter of a window on both sides.
        assert min(first - start, end - 1 - last) >= (end - start) // 4 - 2
        offsets = middle.inputs[0].offsets
        text = part(offsets, start, end)
        target = {"type": "log-likelihood"}
        alone = [
            one
            for one in explain(plain, {"sentence": text}, target=target)
            if [p + start - 1 for p in one.target["positions"]] == middle.target["positions"]
        ]
        assert [one.target["label"] for one in alone] == [middle.target["label"]]
        scores = alone[0].inputs[0].attributions
        assert middle.inputs[0].attributions[start:end] == pytest.approx(scores[1:-1], abs=1e-5)

    def test_an_answer(self) -> None:
        made, plain = (
            make("roberta", "question-answering"),
            short("roberta", "question-answering"),
        )
        given = CASES["question-answering"][1]
        (explanation,) = explain(made, given)
        passage = explanation.inputs[0]
        ((start, end),) = read(explanation)
        prediction = made.predict_json(given)
        best = []
        for a, b in _windows(made, given, "passage"):
            text = part(passage.offsets, a, b)
            alone = plain.predict_json({**given, "passage": text})
            s, e = alone["best_span"]
            best.append(
                (alone["span_start_logits"][s] + alone["span_end_logits"][e], a, alone["best_span"])
            )
        value, a, span = max(best)
        assert a == start
        assert prediction["best_span"] == [span[0] + a, span[1] + a]
        assert explanation.target["positions"][0] == span[0] + a
        assert explanation.target["value"] == pytest.approx(value, abs=1e-4)
        text = part(passage.offsets, start, end)
        (alone,) = explain(plain, {**given, "passage": text})
        assert alone.target["label"] == explanation.target["label"] == prediction["best_span_str"]
        got = explanation.inputs[0].attributions[start:end]
        assert got == pytest.approx(alone.inputs[0].attributions[:-1], abs=1e-5)

    def test_a_gap_in_the_middle(self) -> None:
        explanations = explain(make("bert", "masked-lm"), CASES["masked-lm"][1])
        windows = [read(one)[0] for one in explanations]
        gaps = [n for n, t in enumerate(explanations[0].inputs[0].tokens) if t == "[MASK]"]
        last = len(explanations[0].inputs[0].tokens) - 1
        assert windows[0] == [1, 127]
        assert windows[1][1] - windows[1][0] == 126
        assert abs((windows[1][0] + windows[1][1] - 1) / 2 - gaps[1]) <= 1
        assert windows[2] == [last - 126, last]

    @pytest.mark.parametrize("policy", ["truncate", "window"])
    @pytest.mark.parametrize("name", ["gpt2", "llama"])
    def test_the_latest_tokens(self, name: str, policy: str) -> None:
        more = {"max_length": 100} if name == "llama" else {}
        made = make(name, "causal-lm", policy, **more)
        limit, added = (100, 1) if name == "llama" else (128, 0)
        prediction = made.predict_json({"prompt": LONG, "max_new_tokens": 3})
        own = short(name, "causal-lm")._model.transformer
        ids = tokenizer(KINDS[name].tokenizer)(LONG)["input_ids"]
        written: list[int] = []
        for _ in prediction["token_ids"]:
            latest = [*ids[added:], *written][added - limit :]
            with torch.no_grad():
                logits = own(input_ids=torch.tensor([[*ids[:added], *latest]])).logits[0, -1]
            written.append(int(logits.argmax()))
        assert prediction["token_ids"] == written
        explanations = explain(made, {"prompt": LONG, "max_new_tokens": 3})
        for number, explanation in enumerate(explanations):
            prompt = explanation.inputs[1]
            assert read(explanation) == [[len(ids) - limit + number + added, len(ids)]]
            kept = [score != 0 for score in prompt.attributions]
            assert sum(kept) == limit - number
            assert prompt.tokens == tokenizer(KINDS[name].tokenizer).convert_ids_to_tokens(ids)

    def test_a_continuation_longer_than_the_model(self) -> None:
        made = make("gpt2", "causal-lm")
        continuation = LONG[:900].rpartition(" ")[0]
        explanations = explain(
            made, {"prompt": "a great", "continuation": continuation}, "gradient"
        )
        count = len(explanations)
        (window,) = explanations[-1].overlong["windows"]
        assert window["generated"] == [count - 129, count - 1]
        assert window["prompt"][0] == window["prompt"][1]
        assert explanations[-1].overlong["dropped"] > count - 129
        own = short("gpt2", "causal-lm")._model.transformer
        ids = tokenizer("bare-bytes")("a great" + continuation)["input_ids"]
        for number in (0, 60, count - 5, count - 2, count - 1):
            before = len(ids) - count + number
            with torch.no_grad():
                logits = own(input_ids=torch.tensor([ids[:before][-128:]])).logits[0, -1]
            expected = float(logits.log_softmax(-1)[ids[before]])
            assert explanations[number].target["value"] == pytest.approx(expected, abs=1e-4)
        assert explanations[0].overlong is None

    def test_changed_prompt(self) -> None:
        made = make("gpt2", "causal-lm")
        given = {"prompt": LONG, "changed_prompt": "so" + LONG[4:], "max_new_tokens": 1}
        (explanation,) = explain(made, given, target="kl-divergence")
        # The change is not among the tokens that the model reads.
        assert explanation.target["value"] == pytest.approx(0, abs=1e-6)


def _windows(made: Any, given: dict[str, Any], field: str) -> list[list[int]]:
    told = made.predict_json(given)["overlong"]
    return [window[field] for window in told["windows"]]


class TestTruncate:
    """What is left is what the tokenizer leaves."""

    @pytest.mark.parametrize("name", ["bert", "roberta", "albert", "t5"])
    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize(
        "texts", [(LONG,), (LONG, "a great film"), ("a great film", LONG), (LONG, LONG + " good")]
    )
    def test_as_the_tokenizer(self, name: str, side: str, texts: tuple[str, ...]) -> None:
        import copy

        own = copy.deepcopy(tokenizer(KINDS[name].tokenizer))
        own.truncation_side = side
        made: Any = TransformersPredictor.from_pretrained(
            model(name, "text-classification"), own, overlong="truncate", max_length=101
        )
        keys = ("sentence",) if len(texts) == 1 else ("premise", "hypothesis")
        given = dict(zip(keys, texts, strict=True))
        instance = made._json_to_instance(given)
        (part,) = made._model.windows_of(instance).windows
        got = [t.text_id for key in keys for t in part.instance[key].tokens]
        assert got == own(*texts, truncation=True, max_length=101)["input_ids"]

    def test_a_word_that_was_cut_has_no_tag(self) -> None:
        made = make("bert", "token-classification", "truncate")
        prediction = made.predict_json({"sentence": LONG})
        read = LONG.split()[: len(prediction["words"])]
        assert prediction["words"] == read
        assert 0 < len(read) < 127
        assert len(prediction["tags"]) == len(read)

    def test_gaps_that_were_cut(self) -> None:
        made = make("bert", "masked-lm", "truncate")
        prediction = made.predict_json(CASES["masked-lm"][1])
        assert len(prediction["tokens"]) == 1
        with pytest.raises(InterpretationError, match=r"gaps .* cut.*'window'"):
            made.predict_json({"sentence": LONG + " [MASK]"})


def ours() -> list[str]:
    """The methods of this package."""
    known = SaliencyInterpreter.list_available()
    classes = {name: SaliencyInterpreter.by_name(name) for name in known}
    return [
        name
        for name, one in classes.items()
        if one.__module__.startswith("allennlp_saliency") and issubclass(one, SaliencyInterpreter)
    ]


class TestMethods:
    @pytest.mark.parametrize("method", ours())
    def test_every_method(self, method: str) -> None:
        made = make("bert", "text-classification", max_length=24)
        text = " ".join(LONG.split()[:60])
        inner = {"layer": "transformer.bert.encoder.layer.0"}
        more = inner if method.startswith("layer-") else {}
        (explanation,) = explain(made, {"sentence": text}, method, **more)
        assert len(read(explanation)) > 2
        scores = explanation.inputs[0].attributions
        assert all(map(math.isfinite, scores))
        assert sum(score != 0 for score in scores) > 50

    def test_attention_in_full(self) -> None:
        made = make("bert", "text-classification", max_length=24)
        text = " ".join(LONG.split()[:60])
        (explanation,) = explain(made, {"sentence": text}, "attention", matrices=True)
        shapes = {matrix.numpy().shape[-2:] for matrix in explanation.matrices}
        assert len(explanation.matrices) == len(read(explanation))
        assert shapes == {(24, 24)}

    def test_details_and_warnings(self) -> None:
        made = make("bert", "text-classification", max_length=24)
        text = " ".join(LONG.split()[:60])
        interpreter: Any = SaliencyInterpreter.by_name("integrated-gradients")(made, tolerance=1e-4)
        (explanation,) = interpreter.interpret_json({"sentence": text})
        count = len(read(explanation))
        assert explanation.details["converged"] is True
        steps = explanation.details["steps"]
        assert isinstance(steps, int) or len(steps) == count


class TestStride:
    def text(self, length: int) -> Any:
        field: Any = make("gpt2", "text-classification")._json_to_instance(
            {"sentence": " a" * length}
        )["sentence"]
        text = LongText.of("sentence", field)
        assert text.added == 0
        return text

    @pytest.mark.parametrize("stride", [None, 0, 3, 9])
    @pytest.mark.parametrize("length", [11, 19, 20, 57, 100])
    def test_windows_cover_and_overlap(self, length: int, stride: int | None) -> None:
        text = self.text(length)
        spans = window_spans(text, 10, stride)
        assert spans[0][0] == 0
        assert spans[-1][1] == text.length
        assert all(b - a == 10 for a, b in spans)
        shared = [left[1] - right[0] for left, right in pairwise(spans)]
        least = 5 if stride is None else stride
        assert min(shared) >= least
        # With one window less they would share less.
        assert len(spans) - 1 == math.ceil((text.length - 10) / (10 - least))

    def test_too_much_is_shared(self) -> None:
        made = make("bert", "text-classification", max_length=12, stride=10)
        with pytest.raises(InterpretationError, match=r"windows of 10 tokens .* smaller stride"):
            made.predict_json({"sentence": LONG})

    def test_no_room(self) -> None:
        made = make("bert", "question-answering")
        given = {"question": LONG, "passage": LONG}
        with pytest.raises(InterpretationError, match="nothing of field 'passage' fits"):
            made.predict_json(given)

    def test_most_context(self) -> None:
        windows = [(0, 10), (5, 15), (10, 20)]
        expected = [0, 0, 0, 1, 1, 2, 2]
        spans = [(0, 1), (4, 5), (7, 8), (8, 9), (11, 12), (13, 14), (19, 20)]
        assert [window_of_most_context(windows, span, 20) for span in spans] == expected
        assert window_of_most_context(windows, (2, 13), 20) is None
        assert window_around(self.text(100), 10, (50, 52)) == (46, 56)


class TestParameters:
    @pytest.mark.parametrize(
        "wrong", [{"overlong": "cut"}, {"stride": -1}, {"max_length": 0}, {"stride": "much"}]
    )
    def test_wrong(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))} is"):
            make("bert", "text-classification", **{"overlong": "window", **wrong})

    def test_a_predictors_own(self) -> None:
        plain = short("bert", "text-classification")
        made = type(plain)(plain._model, plain._dataset_reader, overlong="window", max_length=64)
        assert made.predict_json({"sentence": LONG})["overlong"]["limit"] == 64
        with pytest.raises(InterpretationError, match="takes at most 128"):
            plain.predict_json({"sentence": LONG})


class TestLines:
    """Through the predictor `saliency`."""

    def saliency(self, overlong: str, interpreter: Any = "integrated-gradients") -> Any:
        made = make("bert", "text-classification", overlong)
        return SaliencyPredictor(made._model, made._dataset_reader, interpreter=interpreter)

    def test_one_too_long_among_good_ones(self) -> None:
        saliency = self.saliency("error")
        given = [{"sentence": text} for text in ("a great film", LONG, "the plot", "was not good")]
        lines = [json.loads(saliency.dump_line(one)) for one in saliency.predict_batch_json(given)]
        for line in lines:
            LINE.validate(line)
        assert ["error" in line for line in lines] == [False, True, False, False]
        assert "takes at most 128" in lines[1]["error"]["message"]
        assert lines[1]["input"] == {"sentence": LONG}

    def test_windows_among_short_ones(self) -> None:
        saliency = self.saliency("window")
        given = [{"sentence": text} for text in ("a great film", LONG, "the plot", LONG[5:])]
        lines = [json.loads(saliency.dump_line(one)) for one in saliency.predict_batch_json(given)]
        for line, one in zip(lines, given, strict=True):
            LINE.validate(line)
            alone = json.loads(saliency.dump_line(saliency.predict_json(one)))
            got, expected = line["instance_1"], alone["instance_1"]
            assert got["grad_input_1"] == pytest.approx(expected["grad_input_1"], abs=1e-5)
            assert got["explanation"]["target"]["label"] == line["prediction"]["label"]
            assert ("overlong" in got["explanation"]) == (len(one["sentence"]) > 100)

    @pytest.mark.parametrize("how", ["archive", "overrides", "predictor_args"])
    def test_an_archive(
        self, how: str, tmp_path: Path, run_allennlp: Callable[[list[str]], None]
    ) -> None:
        archive = write_archive(
            model("bert", "text-classification"),
            tmp_path / "model.tar.gz",
            tokenizer("wordpiece"),
            overlong="window" if how == "archive" else "error",
        )
        given = [{"sentence": LONG}, {"sentence": "a great film"}]
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in given))
        more = {
            "archive": [],
            "overrides": ["--overrides", '{"dataset_reader.overlong": "window"}'],
            "predictor_args": [
                "--predictor-args",
                '{"predictor_args": {"overlong": "window"}}',
            ],
        }[how]
        command = ["predict", str(archive), str(tmp_path / "in.jsonl"), "--predictor", "saliency"]
        output = tmp_path / "out.jsonl"
        run_allennlp([*command, "--silent", "--output-file", str(output), *more])
        lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        (expected,) = explain(
            make("bert", "text-classification"), {"sentence": LONG}, "integrated-gradients"
        )
        explanation = lines[0]["instance_1"]["explanation"]
        assert explanation["overlong"] == expected.overlong
        scores = explanation["inputs"][0]["attributions"]
        assert scores == pytest.approx(expected.inputs[0].attributions, abs=1e-5)
        assert "overlong" not in lines[1]["instance_1"]["explanation"]

    def test_instances_of_the_reader(self) -> None:
        saliency = self.saliency("window")
        instance = saliency._dataset_reader.text_to_instance(sentence=LONG, label="positive")
        (line,) = saliency.predict_batch_instance([instance])
        assert line["instance_1"]["explanation"]["overlong"]["dropped"] == 0


@pytest.fixture
def run_allennlp(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """The command line of AllenNLP, in this process."""
    from allennlp.commands import main

    def run(arguments: list[str]) -> None:
        monkeypatch.setattr("sys.argv", ["allennlp", *arguments])
        main()

    return run
