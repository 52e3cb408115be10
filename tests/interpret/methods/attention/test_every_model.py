"""Every architecture, every task that it has, every method that reads attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from allennlp_saliency.interpret import Explanation
from allennlp_saliency.interpret.space.packing import TokenBudget
from allennlp_saliency.predictors import TransformersPredictor
from tests.interpret.attention.models import SENTENCE, explained, interpreter, one_group
from tests.zoo.task_models import KINDS, inputs, model, supported, tokenizer

METHODS = ("attention", "attention-rollout", "attention-x-gradient", "value-zeroing")
QUICK = {
    ("albert", "masked-lm"),
    ("electra", "token-classification"),
    ("roberta", "multiple-choice"),
    ("qwen3", "causal-lm"),
    ("t5", "question-answering"),
    ("bart", "seq2seq"),
}


@pytest.mark.parametrize(
    ("name", "task"),
    [
        pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.slow])
        for case in supported()
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_scores(name: str, task: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = inputs(name, task)
    made = interpreter(method, name, task, matrices=True)
    alone = [made.interpret_json(one) for one in given]
    monkeypatch.setattr(TokenBudget, "groups", one_group)
    together = made.interpret_batch_json(given)
    assert any(alone) or (name, task) == ("qwen3", "token-classification")
    for left, right in zip(alone, together, strict=True):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            check(one, method)
            for mine, theirs in zip(one.inputs, other.inputs, strict=True):
                assert mine.tokens == theirs.tokens
                assert mine.attributions == pytest.approx(theirs.attributions, abs=1e-5)
            for ours, also in zip(one.matrices, other.matrices, strict=True):
                assert (ours.queries, ours.keys) == (also.queries, also.keys)
                assert ours.numpy() == pytest.approx(also.numpy(), abs=1e-4)


def check(explanation: Explanation, method: str) -> None:
    scores = [score for one in explanation.inputs for score in one.attributions]
    assert all(map(math.isfinite, scores))
    assert any(scores)
    for matrix in explanation.matrices:
        values = matrix.numpy()
        assert values.shape[-2:] == (len(matrix.queries), len(matrix.keys))
        assert np.isfinite(values).all()
        if method in ("attention", "value-zeroing"):
            assert values.min() >= 0
            sums = values.sum(-1)
            # What a model pays no attention to at all (padding aside) has a row of zeros.
            assert ((abs(sums - 1) < 1e-4) | (sums == 0)).all()
    if method != "attention-x-gradient":
        assert min(scores) >= 0


@pytest.mark.parametrize("method", METHODS)
def test_windows(method: str) -> None:
    predictor = TransformersPredictor.from_pretrained(
        model("bert", "text-classification"),
        tokenizer(KINDS["bert"].tokenizer),
        overlong="window",
        max_length=12,
    )
    own: Any = type(interpreter(method, "bert", "text-classification"))(predictor, matrices=True)
    (explanation,) = own.interpret_json({"sentence": f"{SENTENCE} {SENTENCE}"})
    assert explanation.overlong is not None
    windows = explanation.overlong["windows"]
    assert len(explanation.matrices) == len(windows) > 1
    assert all(len(matrix.keys) <= 12 for matrix in explanation.matrices)
    if method != "attention-x-gradient":
        (one,) = explanation.inputs
        assert sum(one.attributions) == pytest.approx(1, abs=1e-5)


def test_word_scores_are_sums() -> None:
    given = {"sentence": SENTENCE}
    for method in METHODS:
        (words,) = explained(method, "bert", "text-classification", given, granularity="word")
        (pieces,) = explained(method, "bert", "text-classification", given)
        assert sum(words.inputs[0].attributions) == pytest.approx(
            sum(pieces.inputs[0].attributions), abs=1e-6
        )
        assert len(words.inputs[0].tokens) < len(pieces.inputs[0].tokens)
