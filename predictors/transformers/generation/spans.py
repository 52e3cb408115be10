"""Which tokens of a generated text are explained together."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from allennlp.data.tokenizers import Token

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.explanation import Span
from allennlp_saliency.interpret.inputs.texts import token_spans
from allennlp_saliency.interpret.inputs.token_groups import grouped

from ..texts.json_input import Kind

CHOICES = ("token", "span", "sentence")


def _fits(value: Any) -> bool:
    if isinstance(value, str):
        return value in CHOICES
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_span, value))


def _is_span(value: Any) -> bool:
    numbers = isinstance(value, (list, tuple)) and len(value) == 2
    return numbers and all(isinstance(n, Integral) and not isinstance(n, bool) for n in value)


EXPLAIN = Kind(
    '"token", "span", "sentence", or a list of spans [first, end) of generated tokens',
    _fits,
)
"""What is explained of a generated text: each of its tokens, all of them together, each sentence,
or spans of tokens that are given by number."""


def spans_of(explain: Any, tokens: Sequence[Token], text: str) -> list[Span]:
    """The spans `[first, end)` of generated tokens that are explained together.

    Args:
        explain: "span", "sentence" or a list of spans; see `EXPLAIN`.
        tokens: The generated tokens.
        text: Their text.

    Raises:
        InterpretationError: If a span is empty or not within the tokens.
    """
    if explain == "span":
        return [(0, len(tokens))] if tokens else []
    if explain == "sentence":
        return _sentences(tokens, text)
    spans = [(int(first), int(end)) for first, end in explain]
    for first, end in spans:
        if not 0 <= first < end <= len(tokens):
            raise InterpretationError(
                f"the span [{first}, {end}] of 'explain' is empty or not within the {len(tokens)} "
                "generated tokens; count from 0, and give the number behind the last token as end"
            )
    return spans


def text_of(tokens: Sequence[Token], text: str) -> str:
    """What a span of tokens is called: its characters of the text, or its tokens where they stand
    nowhere in it."""
    spans = [span for span in token_spans(tokens) if span is not None]
    if not spans:
        return " ".join(token.text or "" for token in tokens)
    return text[spans[0][0] : spans[-1][1]].strip()


def _sentences(tokens: Sequence[Token], text: str) -> list[Span]:
    """The sentences; a token that stands nowhere in the text goes to the one before it."""
    names = [token.text or "" for token in tokens]
    groups = grouped(names, token_spans(tokens), text, "sentence")
    starts = sorted(group.tokens[0] for group in groups if group.span is not None)
    starts = [0, *starts[1:]] if tokens else []
    return list(zip(starts, [*starts[1:], len(tokens)], strict=True))
