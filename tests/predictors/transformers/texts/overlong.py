"""Models that read few positions, and texts that are longer, for every task."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from allennlp_saliency.interpret import Explanation, SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import (
    KINDS,
    model,
    tokenizer,
)

SCHEMA = json.loads(
    (Path(__file__).parents[4] / "docs" / "explanation.schema.json").read_text(encoding="utf-8")
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


def _windows(made: Any, given: dict[str, Any], field: str) -> list[list[int]]:
    told = made.predict_json(given)["overlong"]
    return [window[field] for window in told["windows"]]
