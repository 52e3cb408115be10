"""Every method on every trained archive that comes with the project."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import IntegratedGradients, SaliencyInterpreter
from allennlp_saliency.interpret.methods.attention.attention_interpreter import AttentionInterpreter
from tests.interpret.properties.cases import METHODS, flat
from tests.interpret.properties.cases import SETTINGS as FEW

FOLDER = Path(__file__).parents[2] / "fixtures"
FIXTURES = ("sentiment", "sentiment-lstm", "entailment", "ner", "topics")
HUGGING_FACE = (
    *("question-answering", "multi-label", "choices", "translate", "copy-lm"),
    *("multi-label-hard", "sentiment-hard"),
)
SETTINGS: dict[str, dict[str, Any]] = {
    **{name: given for name, given in FEW.items() if name != "integrated-gradients"},
    "sequential-integrated-gradients": {"steps": 4},
    "integrated-hessians": {"steps": 4},
    "smooth-gradients": {"num_samples": 5},
}
# Its target is a probability, and question answering has none for a span.
WITHOUT_A_PROBABILITY = ("question-answering", "reagent")
# Averaged or recurrent embeddings: methods that look inside a transformer do not apply.
NO_TRANSFORMERS = ("sentiment-lstm", "entailment", "topics")
CASES = [
    (fixture, method)
    for fixture in (*FIXTURES, *HUGGING_FACE)
    for method in METHODS
    if (fixture, method) != WITHOUT_A_PROBABILITY
    and (
        fixture not in NO_TRANSFORMERS
        or not issubclass(SaliencyInterpreter.by_name(method), AttentionInterpreter)
    )
]
# The embedded fields in the order of explanations: the last one first.
FIELDS = {
    "entailment": ("hypothesis", "premise"),
    "question-answering": ("passage", "question"),
    "multi-label": ("sentence",),
    "multi-label-hard": ("sentence",),
    "sentiment-hard": ("sentence",),
    "choices": ("prompt", "choices"),
    "translate": ("generated", "source"),
    "copy-lm": ("generated", "prompt"),
}


@cache
def predictor(fixture: str) -> Predictor:
    return Predictor.from_path(FOLDER / fixture / "model.tar.gz", import_plugins=False)


def inputs(fixture: str, count: int | None = None) -> list[dict[str, Any]]:
    """The fixture's inputs, or some: the shortest, the longest and those between."""
    lines = (FOLDER / fixture / "inputs.jsonl").read_text(encoding="utf-8").splitlines()
    given = sorted(map(json.loads, lines), key=lambda one: len(json.dumps(one)))
    if count is None:
        return given
    return [given[round(i * (len(given) - 1) / (count - 1))] for i in range(count)]


def texts(fixture: str, given: dict[str, Any]) -> dict[str, str]:
    """The text of each input that an explanation should have, in order."""
    if fixture not in FIELDS:
        return {"tokens": given["sentence"]}
    found: dict[str, str] = {}
    for field in FIELDS[fixture]:
        if field == "generated":
            found[field] = predictor(fixture).predict_json(given)["text"]
        elif isinstance(given[field], list):
            found |= {f"{field}[{number}]": text for number, text in enumerate(given[field])}
        else:
            found[field] = given[field]
    return found


@pytest.mark.parametrize(("fixture", "method"), CASES)
def test_every_method(fixture: str, method: str) -> None:
    made = SaliencyInterpreter.by_name(method)(predictor(fixture), **SETTINGS.get(method, {}))
    assert isinstance(made, SaliencyInterpreter)
    some = inputs(fixture, 2 if fixture in HUGGING_FACE else 3)
    if fixture == "translate":  # Each word that it writes is explained.
        some = inputs(fixture)[:2]
    results = made.interpret_batch_json(some)
    assert any(results)
    for given, explanations in zip(some, results, strict=True):
        expected = texts(fixture, given)
        for explanation in explanations:
            assert [one.field for one in explanation.inputs] == list(expected)
            for one in explanation.inputs:
                assert len(one.tokens) == len(one.offsets) == len(one.attributions)
                assert one.tokens or one.field == "generated"
                assert all(map(math.isfinite, one.attributions))
                for token, span in zip(one.tokens, one.offsets, strict=True):
                    if span is not None:
                        text = expected[one.field][span[0] : span[1]].lower()
                        assert text == token.removeprefix("##").removeprefix("Ġ").lower()
            for shares in made.grad_inputs(explanation).values():
                assert min(shares, default=0.0) >= 0
                assert sum(shares) == pytest.approx(1, abs=1e-6) or not any(shares)
    single = [made.interpret_json(given) for given in some]
    assert len(flat(results)) == len(flat(single))
    scale = max(1.0, np.abs(flat(single)).max())
    assert np.abs(np.subtract(flat(results), flat(single))).max() <= 1e-5 * scale


@pytest.mark.slow
@pytest.mark.parametrize("fixture", FIXTURES)
def test_integrated_gradients_are_complete(fixture: str) -> None:
    interpreter = IntegratedGradients(predictor(fixture), tolerance=1e-3, max_steps=4096)
    for explanations in interpreter.interpret_batch_json(inputs(fixture)):
        for explanation in explanations:
            delta = explanation.convergence_delta
            assert delta is not None
            assert abs(delta) <= 1e-3
            assert explanation.details["converged"] is True


@pytest.mark.parametrize("fixture", FIXTURES)
def test_some_integrated_gradients_are_complete(fixture: str) -> None:
    interpreter = IntegratedGradients(predictor(fixture), tolerance=1e-2, max_steps=4096)
    for explanations in interpreter.interpret_batch_json(inputs(fixture, 5)):
        for explanation in explanations:
            delta = explanation.convergence_delta
            assert delta is not None
            assert abs(delta) <= 1e-2
            assert explanation.details["converged"] is True
