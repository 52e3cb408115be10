"""Every architecture, every task that it has, the methods that people use."""

from __future__ import annotations

import math
from typing import Any

import pytest

from allennlp_saliency.interpret import Explanation, SaliencyInterpreter
from tests.zoo.task_models import inputs, predictor, supported

METHODS = ("gradient", "input-x-gradient", "integrated-gradients", "deeplift", "lrp")
QUICK = {
    ("bert", "question-answering"),
    ("roberta", "text-classification"),
    ("distilbert", "token-classification"),
    ("albert", "masked-lm"),
    ("modernbert", "multiple-choice"),
    ("gpt2", "causal-lm"),
    ("llama", "causal-lm"),
    ("bart", "seq2seq"),
    ("t5", "text-classification"),
}
# The norm of a vector that is zero is a step there, and a path from zero begins with it.
STEPS_AT_ZERO = {"qwen3", "t5"}


def _cases() -> list[Any]:
    return [
        pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow])
        for case in supported()
    ]


def make(method: str, name: str, task: str) -> SaliencyInterpreter:
    made = SaliencyInterpreter.by_name(method)(predictor(name, task))
    assert isinstance(made, SaliencyInterpreter)
    return made


def test_thirteen_architectures() -> None:
    pairs = supported()
    assert len({name for name, _ in pairs}) == 13
    assert len({task for _, task in pairs}) == 7
    assert len(pairs) > 45


@pytest.mark.parametrize(("name", "task"), _cases())
class TestEveryModel:
    @pytest.mark.parametrize("method", METHODS)
    def test_scores(self, name: str, task: str, method: str) -> None:
        interpreter = make(method, name, task)
        given = inputs(name, task)
        together = interpreter.interpret_batch_json(given)
        assert any(together) or (name, task) == ("qwen3", "token-classification")
        for one, explanations in zip(given, together, strict=True):
            texts = {**one, "generated": _written(name, task, one)}
            alone = interpreter.interpret_json(one)
            assert len(alone) == len(explanations)
            for left, right in zip(explanations, alone, strict=True):
                check_texts(left, texts)
                if not stopped_short(left, name):
                    check_close(left, right, 2e-4 if name in STEPS_AT_ZERO else 2e-5)
                check_sum(left, interpreter, name)

    def test_prediction_and_explanations_agree(self, name: str, task: str) -> None:
        for one in inputs(name, task):
            prediction = predictor(name, task).predict_json(one)
            explained = make("gradient", name, task).interpret_json(one)
            labels = [explanation.target["label"] for explanation in explained]
            assert labels == expected_labels(task, prediction)


def test_rows_with_different_numbers_of_choices_share_a_batch() -> None:
    some = inputs("bert", "multiple-choice")
    assert len({len(one["choices"]) for one in some}) > 1
    choosing = predictor("bert", "multiple-choice")
    for one, together in zip(some, choosing.predict_batch_json(some), strict=True):
        count = len(one["choices"])
        assert together["logits"][:count] == pytest.approx(
            choosing.predict_json(one)["logits"], abs=1e-5
        )
        assert together["probs"][count:] == [0.0] * (len(together["probs"]) - count)


def expected_labels(task: str, prediction: dict[str, Any]) -> list[str]:
    """What the explanations of a prediction are to be called."""
    if task == "text-classification":
        return [prediction["label"]]
    if task == "question-answering":
        return [prediction["best_span_str"]]
    if task == "multiple-choice":
        return [str(prediction["best"])]
    if task == "token-classification":
        words, tags = prediction["words"], prediction["tags"]
        assert len(words) == len(tags)
        within = [tag for tag in tags if tag != "O"]
        found = [entity["text"].split() for entity in prediction["entities"]]
        assert sum(map(len, found)) == len(within)
        labels, start = [], 0
        for some in found:
            labels.append(" ".join(within[start : start + len(some)]))
            start += len(some)
        return labels
    return prediction["tokens"]


def check_texts(explanation: Explanation, texts: dict[str, Any]) -> None:
    """Scores are finite and line up with tokens, and offsets with the text."""
    for one in explanation.inputs:
        assert len(one.tokens) == len(one.offsets) == len(one.attributions)
        assert all(map(math.isfinite, one.attributions))
        field, _, item = one.field.partition("[")
        text = texts[field][int(item[:-1])] if item else texts[field]
        covered = set()
        for token, span in zip(one.tokens, one.offsets, strict=True):
            if span is None:
                assert token in SPECIAL
                continue
            covered |= set(range(*span))
            plain = token.replace("##", "").replace("Ġ", "").replace("▁", "")
            if plain.isascii() and plain not in UNREADABLE and field != "generated":
                assert text[slice(*span)] == plain
        if field != "generated":
            assert covered >= {place for place, c in enumerate(text) if not c.isspace()}


UNREADABLE = {"", "[UNK]", "<unk>"}
SPECIAL = {"[CLS]", "[SEP]", "<s>", "</s>", "<pad>", "[PAD]"}


def check_close(left: Explanation, right: Explanation, tolerance: float) -> None:
    """Batch equals single, up to rounding."""
    for one, other in zip(left.inputs, right.inputs, strict=True):
        assert one.tokens == other.tokens
        largest = max(map(abs, one.attributions), default=0)
        assert one.attributions == pytest.approx(other.attributions, abs=tolerance * (1 + largest))


def check_sum(explanation: Explanation, interpreter: SaliencyInterpreter, name: str) -> None:
    """Complete methods are complete, or say what they lack."""
    total = sum(sum(one.attributions) + one.unassigned for one in explanation.inputs)
    target = explanation.target
    if not interpreter.complete or "baseline_value" not in target:
        return
    change = target["value"] - target["baseline_value"]
    assert explanation.convergence_delta == pytest.approx(change - total, abs=1e-6)
    if stopped_short(explanation, name):
        return
    assert total == pytest.approx(change, rel=0.02, abs=1e-3)


def stopped_short(explanation: Explanation, name: str) -> bool:
    """Whether a path has a step in it that no number of points gets over, and says so."""
    return name in STEPS_AT_ZERO and explanation.details.get("converged") is False


def _written(name: str, task: str, one: dict[str, Any]) -> str:
    if task not in ("causal-lm", "seq2seq"):
        return ""
    return predictor(name, task).predict_json(one)["text"]
