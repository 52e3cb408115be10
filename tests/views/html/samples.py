"""Explanations to look at, made by hand: every kind that a page shows."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np

from allennlp_saliency.interpret.explanation import (
    AttentionMatrix,
    Explanation,
    InputAttribution,
    Interaction,
    Span,
)

PIECES = ["[CLS]", "un", "##believ", "##able", "film", ",", "never", "dull", ".", "[SEP]"]
OFFSETS: list[Span | None] = [
    None, (0, 2), (2, 8), (8, 12), (13, 17), (17, 18), (19, 24), (25, 29), (29, 30), None,
]  # fmt: skip
SCORES = [0.01, 0.125, 0.5, -0.25, 0.03125, 0.0, 0.75, -1.5, 0.0625, -0.02]
TEXT = "Unbelievable film, never dull."


def explanation(**changes: Any) -> Explanation:
    one = InputAttribution("tokens", "grad_input_1", PIECES, OFFSETS, SCORES, text=TEXT)
    settings: dict[str, Any] = {
        "interpreter": {"type": "integrated-gradients", "steps": 32},
        "target": {"type": "log-likelihood", "label": "positive", "value": -0.25,
                   "baseline_value": -2.0},
        "inputs": [one],
        "convergence_delta": 0.0003,
    }  # fmt: skip
    return Explanation(**{**settings, **changes})


def with_scores(scores: list[float], method: str) -> Explanation:
    one = replace(explanation().inputs[0], attributions=scores)
    return explanation(interpreter={"type": method}, inputs=[one], convergence_delta=None)


def entities() -> list[Explanation]:
    """Two entities of one text."""
    words = ["Ada", "Lovelace", "saw", "Turin"]
    spans: list[Span | None] = [(0, 3), (4, 12), (13, 16), (17, 22)]
    found = []
    for label, places, scores in (
        ("B-PER L-PER", [0, 1], [2.0, 1.0, 0.5, -0.25]),
        ("U-LOC", [3], [-0.5, 0.25, 1.0, 3.0]),
    ):
        one = InputAttribution(
            "tokens", "grad_input_1", words, spans, scores, text="Ada Lovelace saw Turin"
        )
        target = {"type": "logit", "label": label, "positions": places, "value": 1.0}
        found.append(explanation(target=target, inputs=[one], convergence_delta=None))
    return found


def translation() -> list[Explanation]:
    """Three written tokens, the last of which ends the text."""
    source = ["the", "cat"]
    places: list[Span | None] = [(0, 3), (4, 7)]
    written = ["▁le", "▁chat"]
    spans: list[Span | None] = [(0, 2), (3, 7)]
    found = []
    for step, (label, scores) in enumerate(
        [("▁le", [3.0, 0.5]), ("▁chat", [-0.5, 4.0]), ("</s>", [0.25, 0.125])]
    ):
        before = [0.25 * (n + 1) for n in range(step)]
        inputs = [
            InputAttribution(
                "generated", "grad_input_1", written[:step], spans[:step], before,
                text="le chat</s>",
            ),
            InputAttribution(
                "source", "grad_input_2", source, places, scores, text="the cat"
            ),
        ]  # fmt: skip
        target = {"type": "log-likelihood", "label": label, "value": -0.125}
        found.append(explanation(target=target, inputs=inputs, convergence_delta=None))
    return found


def attended() -> Explanation:
    """Two layers of three heads over four wordpieces."""
    generator = np.random.default_rng(0)
    values = generator.random((2, 3, 4, 4)).astype(np.float32)
    tokens = ["[CLS]", "never", "dull", "[SEP]"]
    matrix = AttentionMatrix("encoder", ["layer", "head", "query", "key"], tokens, tokens, values)
    return explanation(interpreter={"type": "attention"}, matrices=[matrix])


def interacting() -> Explanation:
    pairs = [
        Interaction(("tokens", 6), ("tokens", 7), 1.5),
        Interaction(("tokens", 1), ("tokens", 4), -0.5),
    ]
    return explanation(interpreter={"type": "pair-interactions"}, interactions=pairs)


def hostile_explanations() -> list[Explanation]:
    """Tokens that would do something if they were more than text."""
    tokens = [
        "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "</style>", "</script>",
        "<!--", "a\u202eb", "z\u200bw\u200c", "\u2028", "&lt;b&gt;", "{{ 7 * 7 }}", "'", "\ud800",
        "\x00\x1b[31m", "x" * 10_000, "javascript:alert(3)", "\U000e0041", "😀",
    ]  # fmt: skip
    scores = [0.5 - n / 16 for n in range(len(tokens))]
    rebuilt = InputAttribution(tokens[0], "grad_input_1", tokens, [None] * len(tokens), scores)
    text, spans = "", []
    for token in tokens:
        spans.append((len(text), len(text) + len(token)))
        text += token + " "
    joined = InputAttribution("tokens", "grad_input_1", tokens, spans, scores, text=text)
    attack = tokens[1]
    return [
        explanation(
            interpreter={"type": attack, attack: attack, "more": {"type": attack}},
            target={"type": attack, "label": attack, "value": 1.0, attack: attack},
            inputs=[one],
            details={attack: attack},
            warnings=[attack],
        )
        for one in (rebuilt, joined)
    ]


def many(count: int, words: int) -> list[list[Explanation]]:
    """Inputs of one explanation each."""
    chosen = random.Random(0)
    found = []
    for number in range(count):
        tokens = [chosen.choice(["a", "film", "dull", "great", "plot"]) for _ in range(words)]
        text, spans = " ".join([f"n{number}", *tokens]), []
        place = 0
        for token in text.split(" "):
            spans.append((place, place + len(token)))
            place += len(token) + 1
        scores = [chosen.gauss(0, 1) for _ in spans]
        one = InputAttribution("tokens", "grad_input_1", text.split(" "), spans, scores, text=text)
        target = {
            "type": "log-likelihood",
            "label": chosen.choice(["positive", "negative"]),
            "value": -chosen.random(),
        }
        delta = chosen.random() / 100
        found.append([explanation(target=target, inputs=[one], convergence_delta=delta)])
    return found
