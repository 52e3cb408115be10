"""Explanations are plain data that says when it is wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from allennlp_saliency.interpret import Explanation, InputAttribution
from allennlp_saliency.interpret.explanation import FORMAT, ExplanationFormatError


def attribution(**changes: Any) -> InputAttribution:
    settings: dict[str, Any] = {
        "field": "tokens",
        "grad_input": "grad_input_1",
        "tokens": ["a", "film"],
        "offsets": [(0, 1), None],
        "attributions": [0.5, -0.25],
        "unassigned": 0.125,
    }
    return InputAttribution(**{**settings, **changes})


def explanation(**changes: Any) -> Explanation:
    settings: dict[str, Any] = {
        "interpreter": {"type": "integrated-gradients", "baseline": {"type": "zero"}},
        "target": {"type": "logit", "label": "good", "value": 1.0, "baseline_value": 0.5},
        "inputs": [attribution()],
        "convergence_delta": 0.125,
        "details": {"steps": 3, "converged": True},
        "warnings": ["look out"],
    }
    return Explanation(**{**settings, **changes})


def test_to_json() -> None:
    assert explanation().to_json() == {
        "format": 2,
        "interpreter": {"type": "integrated-gradients", "baseline": {"type": "zero"}},
        "target": {"type": "logit", "label": "good", "value": 1.0, "baseline_value": 0.5},
        "convergence_delta": 0.125,
        "inputs": [
            {
                "field": "tokens",
                "grad_input": "grad_input_1",
                "tokens": ["a", "film"],
                "offsets": [[0, 1], None],
                "attributions": [0.5, -0.25],
                "unassigned": 0.125,
                "text": None,
            }
        ],
        "details": {"steps": 3, "converged": True},
        "warnings": ["look out"],
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"convergence_delta": None, "details": {}, "warnings": []},
        {"inputs": []},
        {"inputs": [attribution(tokens=[], offsets=[], attributions=[])]},
        {"inputs": [attribution(), attribution(tokens=["<script>", "é😀\u2028"])]},
        {"inputs": [attribution(text="a film")]},
    ],
)
def test_round_trip(changes: dict[str, Any]) -> None:
    made = explanation(**changes)
    text = json.dumps(made.to_json(), allow_nan=False)
    assert Explanation.from_json(json.loads(text)) == made


def test_format_1_has_no_texts() -> None:
    old = explanation().to_json()
    old["format"] = 1
    del old["inputs"][0]["text"]
    assert Explanation.from_json(old) == explanation()


def test_json_shares_nothing_with_the_value() -> None:
    made = explanation()
    told = made.to_json()
    told["inputs"][0]["tokens"].append("x")
    told["target"]["label"] = "bad"
    told["details"]["steps"] = 0
    told["warnings"].clear()
    assert made == explanation()


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": ["a"]},
        {"offsets": []},
        {"attributions": [0.5]},
        {"attributions": [0.5, math.nan]},
        {"attributions": [0.5, math.inf]},
        {"unassigned": -math.inf},
        {"text": ""},
        {"text": "a", "offsets": [(1, 0), None]},
        {"text": "a", "offsets": [(-1, 1), None]},
    ],
)
def test_what_does_not_line_up_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="field 'tokens'"):
        attribution(**changes)


def test_lengths_are_named() -> None:
    with pytest.raises(ValueError, match="2 tokens, 2 offsets, 1 attributions and 1 standard"):
        attribution(attributions=[1.0])


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ([], "list"),
        ("text", "str"),
        (None, "NoneType"),
        ({}, "None"),
        ({"format": FORMAT + 1}, f"1 or 2, got {FORMAT + 1}"),
        ({"format": FORMAT}, "interpreter"),
        ({**explanation().to_json(), "inputs": None}, "NoneType"),
        ({**explanation().to_json(), "inputs": [{}]}, "field"),
        ({**explanation().to_json(), "inputs": [3]}, "int"),
        (
            {
                **explanation().to_json(),
                "inputs": [{**attribution().to_json(), "attributions": ["high", 1]}],
            },
            "high",
        ),
        (
            {
                **explanation().to_json(),
                "inputs": [{**attribution().to_json(), "offsets": [[0], None]}],
            },
            "index",
        ),
    ],
)
def test_what_is_no_explanation_is_refused(broken: Any, told: str) -> None:
    with pytest.raises(ExplanationFormatError, match=told):
        Explanation.from_json(broken)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        explanation().convergence_delta = 0.0  # type: ignore[misc]
