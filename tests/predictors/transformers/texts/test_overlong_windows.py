"""Texts that are longer than the model takes: the sum of windows, or one window."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from allennlp_saliency.predictors import TransformersPredictor
from tests.predictors.transformers.texts.overlong import (
    CASES,
    LONG,
    _windows,
    explain,
    make,
    part,
    read,
    short,
)
from tests.zoo.task_models import (
    KINDS,
    LABELS,
    model,
    tokenizer,
)


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
