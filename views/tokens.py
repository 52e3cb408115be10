"""Tokens as a reader should see them, safe to print, without the tokenizer's own marks; predictions
and numbers in words."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation, Span

WORDPIECE = "##"
SPACE_MARKS = ("\u0120", "\u2581")  # byte-level BPE (GPT-2, RoBERTa) and SentencePiece
_SPECIAL = re.compile(r"<[^<>\s]+>|\[[A-Z]+\d*\]|@@?[A-Za-z]+@@?")

# Joiners are part of how Persian, Hindi and emoji are written; other format characters reorder
# or hide text, so a reader could not trust what the terminal shows.
_JOINERS = "\u200c\u200d"
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True)
class Piece:
    """One token to show.

    Attributes:
        text: What to print; of `readable` without control characters and never empty.
        glued: Whether it follows the previous token without a space.
    """

    text: str
    glued: bool


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""The text with everything escaped that a terminal would act upon, or could not encode.

    Args:
        text: Any text; `"\x1b[31m"` becomes the six visible characters `\x1b[31m`.
        encoding: The encoding of the stream that it will be written to.
    """
    shown = "".join(
        character
        if unicodedata.category(character) not in _UNSAFE or character in _JOINERS
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
    return shown.encode(encoding, "backslashreplace").decode(encoding, "replace")


def readable(
    tokens: Sequence[str],
    offsets: Sequence[Span | None] | None = None,
    encoding: str = "utf-8",
) -> list[Piece]:
    """One piece per token: marks of the tokenizer stripped, pieces of one word glued.

    Args:
        tokens: The tokens of one field.
        offsets: Their character spans: tokens that touch in the text are glued too.
        encoding: The encoding of the stream that they will be written to.
    """
    return [
        Piece(_visible(piece.text, encoding), piece.glued) for piece in unmarked(tokens, offsets)
    ]


def unmarked(tokens: Sequence[str], offsets: Sequence[Span | None] | None = None) -> list[Piece]:
    """As `readable`, but with nothing escaped: control characters stay, texts may be empty.

    Args:
        tokens: The tokens of one field.
        offsets: Their character spans.
    """
    mark = next((mark for mark in SPACE_MARKS if any(t.startswith(mark) for t in tokens)), None)
    pieces: list[Piece] = []
    previous_special = True  # nothing is glued to the beginning
    for index, token in enumerate(tokens):
        special = is_special(token)
        text, glued = token, False
        if special:
            pass
        elif mark is not None:
            glued = not token.startswith(mark)
            text = token if glued else token[len(mark) :]
            text = _decoded(text) if mark == SPACE_MARKS[0] else text
        elif token.startswith(WORDPIECE) and token != WORDPIECE:
            text, glued = token[len(WORDPIECE) :], True
        if offsets is not None and index > 0 and not special:
            glued = glued or _touch(offsets[index - 1], offsets[index])
        pieces.append(Piece(text, glued and not previous_special))
        previous_special = special
    return pieces


def is_special(token: str) -> bool:
    """Whether a token looks like one that a tokenizer adds: `[CLS]`, `</s>`, `@start@`."""
    return _SPECIAL.fullmatch(token) is not None


def _visible(text: str, encoding: str) -> str:
    if not text:
        return '""'
    if text.isspace():
        return printable(repr(text), encoding)
    if unicodedata.category(text[0]) in ("Mn", "Me"):
        text = "\u25cc" + text  # a lone accent would land on the token before it
    return printable(text, encoding)


def _touch(previous: Span | None, current: Span | None) -> bool:
    return (
        previous is not None
        and current is not None
        and previous[0] < previous[1] == current[0] < current[1]
    )


@cache
def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE writes printable bytes as themselves, the others as U+0100 and up in order."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in plain]
    return {
        **{chr(byte): byte for byte in plain},
        **{chr(0x100 + index): byte for index, byte in enumerate(others)},
    }


def _decoded(token: str) -> str:
    """A byte-level token as text; half a character stays visible as its bytes."""
    bytes_of = _byte_of_character()
    if any(character not in bytes_of for character in token):
        return token
    return bytes(bytes_of[character] for character in token).decode("utf-8", "backslashreplace")


_PROBABILITIES = ("probs", "label_probs", "class_probabilities", "probabilities")


def predicted(prediction: Mapping[str, Any], explanations: Sequence[Explanation]) -> str | None:
    """What the model predicted, in a few words; None where the output has no known shape."""
    probability = _probability(prediction)
    label = prediction.get("label")
    targets = [explanation.target for explanation in explanations]
    if not isinstance(label, (str, int)) and probability is not None and len(targets) == 1:
        label = targets[0].get("label")
    if isinstance(label, (str, int)):
        if probability is None:
            probability = next((_target_probability(t, label) for t in targets), None)
        return str(label) if probability is None else f"{label} {_percent(probability)}"
    tags = prediction.get("tags")
    words = prediction.get("words", prediction.get("tokens"))
    if isinstance(tags, list) and isinstance(words, list) and len(tags) == len(words):
        tagged = [f"{word} {tag}" for word, tag in zip(words, tags, strict=True) if tag != "O"]
        return ", ".join(tagged) or "every tag is O"
    span = prediction.get("best_span_str")
    return span if isinstance(span, str) else _described(prediction)


def _described(prediction: Mapping[str, Any]) -> str | None:
    """Verbs with their roles, the mentions of each cluster."""
    verbs = prediction.get("verbs")
    if isinstance(verbs, list) and verbs and all(isinstance(one, dict) for one in verbs):
        return "; ".join(str(one.get("description", one.get("verb", ""))) for one in verbs)
    clusters, words = prediction.get("clusters"), prediction.get("document")
    if not isinstance(clusters, list) or not isinstance(words, list):
        return None
    try:
        mentions = [[" ".join(words[a : b + 1]) for a, b in cluster] for cluster in clusters]
    except (TypeError, ValueError):
        return None
    return "; ".join(" = ".join(one) for one in mentions) or "no two mentions of the same"


def _probability(prediction: Mapping[str, Any]) -> float | None:
    """The predicted label's probability: the largest one of the classifier's."""
    for name in _PROBABILITIES:
        numbers = numbers_of(prediction.get(name))
        if numbers and all(0 <= number <= 1 for number in numbers):
            return max(numbers)
    return None


def _target_probability(target: Mapping[str, Any], label: str | int) -> float | None:
    return probability_of(target) if target.get("label") == label else None


def probability_of(target: Mapping[str, Any]) -> float | None:
    """The probability of what was explained, where the target says it."""
    value = target.get("value")
    # Of a verb's tags it is the mean, which is the probability of nothing.
    if not isinstance(value, (int, float)) or "verb" in target:
        return None
    if target.get("type") == "probability":
        return float(value)
    return math.exp(value) if target.get("type") == "log-likelihood" and value <= 0 else None


def signed(score: float, scale: float) -> str:
    """A signed score with two digits of the strongest one; what rounds to nothing has no sign."""
    if scale == 0:
        return "0"
    magnitude = math.floor(math.log10(scale))
    if not -5 <= magnitude <= 5:
        return f"{score:+.1e}" if score else "0"
    shown = f"{score:+.{max(1 - magnitude, 2 if magnitude < 1 else 1)}f}"
    return shown if any(digit in shown for digit in "123456789") else shown[1:]


def short(value: Any) -> str:
    """A parameter in a few words: `zero (keep_special_tokens true)` for an object with a type,
    `(bias 0.0405, softmax -0.156)` for one without."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        rest = ", ".join(f"{k} {short(v)}" for k, v in value.items() if k != "type")
        return f"{value['type']} ({rest})" if rest else value["type"]
    if isinstance(value, dict):
        return f"({', '.join(f'{k} {short(v)}' for k, v in value.items())})"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def delta_in_words(delta: float, target: Mapping[str, Any]) -> str:
    """What completeness lacks, and how much that is of what was to be distributed."""
    shown = f"convergence delta {delta:.1e}"
    try:
        share = abs(delta / (target["value"] - target["baseline_value"]))
    except (KeyError, TypeError, ZeroDivisionError):
        return shown
    return f"{shown} ({'< 0.1' if share < 0.001 else f'{100 * share:.1f}'} % of the difference)"


def _percent(probability: float) -> str:
    return "> 99.9 %" if 0.9995 <= probability < 1 else f"{100 * probability:.1f} %"


def numbers_of(values: Any) -> list[float] | None:
    """A list of numbers as it is, None for anything else."""
    numbers = isinstance(values, list) and all(
        isinstance(one, (int, float)) and not isinstance(one, bool) for one in values
    )
    return values if numbers else None
