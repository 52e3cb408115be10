"""Texts that are longer than a model takes: cut, or split into windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.explanation import Span
from allennlp_saliency.interpret.inputs.texts import tokenizer_of

from .reader import SourceTextField

Spans = dict[str, Span]
"""Per text that is cut, by its name, which of its own tokens are left, counted from the first of
these."""


@dataclass(frozen=True)
class LongText:
    """A text whose tokens may have to be cut.

    Attributes:
        name: The field's name.
        field: The field.
        head: How many tokens the tokenizer has added before the text's own.
        tail: How many behind them.
        shared: Whether parts with the same tokens are the same field, so that what is generated
            after them can share forward passes.
    """

    name: str
    field: SourceTextField
    head: int
    tail: int
    shared: bool = True

    @classmethod
    def of(cls, name: str, field: Any) -> LongText:
        """A text field with the tokens that the tokenizer adds to every text, which stay."""
        unknown = getattr(_tokenizer(field), "unk_token_id", None)
        added = [token.idx is None and token.text_id != unknown for token in field.tokens]
        if all(added):
            return cls(name, field, len(added), 0)
        return cls(name, field, added.index(False), added[::-1].index(False))

    @property
    def length(self) -> int:
        """How many tokens of its own the text has."""
        return len(self.field.tokens) - self.added

    @property
    def added(self) -> int:
        """How many tokens the tokenizer has added."""
        return self.head + self.tail

    def places(self, span: Span) -> list[int]:
        """The numbers of all tokens of a part that has a span of the text's own tokens."""
        count = len(self.field.tokens)
        return [*range(self.head), *range(*self.numbers(span)), *range(count - self.tail, count)]

    def numbers(self, span: Span) -> Span:
        """A span of the text's own tokens among all tokens of the field."""
        return self.head + span[0], self.head + span[1]

    def part(self, places: Sequence[int]) -> SourceTextField:
        """The field with some of its tokens."""
        field = self.field
        known = field.parts if self.shared else {}
        key = tuple(places)
        if key not in known:
            tokens = [field.tokens[place] for place in places]
            known[key] = SourceTextField(
                tokens, field.token_indexers, field.source_text, field.overlong
            )
        return known[key]


def _tokenizer(field: SourceTextField) -> Any:
    """The Hugging Face tokenizer that a text was split with, None where its indexers have none."""
    return tokenizer_of(next(iter(field.token_indexers.values()), None))


def window_spans(text: LongText, room: int, stride: int | None = None) -> list[Span]:
    """Overlapping windows of a text's own tokens, all of them full, as evenly as can be.

    Args:
        text: The text, which has more tokens than `room`.
        room: How many of its own tokens a window has.
        stride: How many of them it shares with the next window at least; None for half of them.

    Raises:
        InterpretationError: If a window has no room, or shares all of it.
    """
    if room < 1:
        raise InterpretationError(
            f"nothing of field {text.name!r} fits beside the other texts, so there are no windows "
            "of it; shorten the others, or cut all with overlong='truncate'"
        )
    shared = room // 2 if stride is None else stride
    if shared >= room:
        raise InterpretationError(
            f"windows of {room} tokens of field {text.name!r} cannot share {shared} of them; "
            "take a smaller stride"
        )
    last = text.length - room
    count = -(-last // (room - shared)) + 1
    starts = [number * last // max(count - 1, 1) for number in range(count)]
    return [(start, start + room) for start in starts]


def window_around(text: LongText, room: int, span: Span) -> Span:
    """The window of a text's own tokens that has as much on one side of a span as on the other,
    as far as the text goes."""
    start = (span[0] + span[1] - room) // 2
    start = min(max(start, 0), text.length - room)
    return start, start + room


def window_of_most_context(windows: Sequence[Span], span: Span, length: int) -> int | None:
    """The number of the window in which the nearer end is farthest from a span.

    An end of the text is no end of a window: nothing is missing there.

    Args:
        windows: The windows.
        span: Tokens that are to be in it.
        length: How many tokens the text has.

    Returns:
        None if the span is in no window.
    """
    sides = [
        (length if start == 0 else span[0] - start, length if end == length else end - span[1])
        for start, end in windows
    ]
    best = max(range(len(windows)), key=lambda number: min(sides[number]))
    return best if min(sides[best]) >= 0 else None


def truncated(texts: Sequence[LongText], room: int) -> Spans:
    """What the tokenizer leaves of texts, on the side where it does not cut: of two, the longer is
    cut first.

    Args:
        texts: One text or two.
        room: How many of their own tokens fit.

    Raises:
        InterpretationError: If nothing fits.
    """
    if room < 1:
        names = " and ".join(repr(text.name) for text in texts)
        raise InterpretationError(
            f"nothing of field {names} fits beside the other texts; shorten those"
        )
    longer, *shorter = sorted(texts, key=lambda text: text.length)[::-1]
    spans = {}
    for text in (*shorter, longer):
        kept = room if text is longer else min(text.length, room // 2)
        room -= kept
        if kept < text.length:
            left = getattr(_tokenizer(text.field), "truncation_side", "right") == "left"
            spans[text.name] = (text.length - kept, text.length) if left else (0, kept)
    return spans
