"""What becomes of a text that is longer than a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.data.fields import TextField
from allennlp.data.tokenizers import Token

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.inputs.texts import tokenizer_of

from .source_text import SourceTextField

Span = tuple[int, int]

POLICIES = ("error", "truncate", "window")


@dataclass(frozen=True)
class Overlong:
    """What to do with a text that is longer than the model takes.

    Attributes:
        policy: "error" refuses it; "truncate" cuts what the tokenizer would cut; "window" reads
            overlapping windows of it.
        stride: How many tokens a window shares with the next one at least (transformers'
            tokenizers call it so); None for half of what fits.
        max_length: How many tokens the model is to take at most; None for as many as it has
            positions.

    Raises:
        ConfigurationError: If there is no such policy, or a number is out of range.
    """

    policy: str = "error"
    stride: int | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigurationError(
                f"overlong is one of {', '.join(map(repr, POLICIES))}, not {self.policy!r}"
            )
        for name, value, least in (("stride", self.stride, 0), ("max_length", self.max_length, 1)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not whole or value < least):
                raise ConfigurationError(f"{name} is a number from {least}, not {value!r}")


@dataclass(frozen=True)
class LongText:
    """A text whose tokens may have to be cut.

    Attributes:
        name: The field's name.
        field: The field.
        head: How many tokens before the text's own the tokenizer has added.
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
        tokenizer = field_tokenizer(field)
        unknown = getattr(tokenizer, "unk_token_id", None)
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
        """The numbers of all tokens of a part.

        Args:
            span: Which of the text's own tokens it has, counted from the first of these.
        """
        count = len(self.field.tokens)
        own = range(self.head + span[0], self.head + span[1])
        return [*range(self.head), *own, *range(count - self.tail, count)]

    def numbers(self, span: Span) -> Span:
        """A span of the text's own tokens among all tokens of the field."""
        return self.head + span[0], self.head + span[1]

    def part(self, places: Sequence[int]) -> SourceTextField:
        """The field with some of its tokens."""
        known = self.field.parts if self.shared else {}
        key = tuple(places)
        if key not in known:
            tokens: list[Token] = [self.field.tokens[place] for place in places]
            field = self.field
            known[key] = SourceTextField(
                tokens, field.token_indexers, field.source_text, field.overlong
            )
        return known[key]


def field_tokenizer(field: TextField) -> Any:
    """The Hugging Face tokenizer that a text was split with, None where its indexers have none."""
    indexers = list(field.token_indexers.values())
    return tokenizer_of(indexers[0]) if indexers else None


def window_spans(text: LongText, room: int, stride: int | None = None) -> list[Span]:
    """Overlapping windows of a text's own tokens, all of them full, as evenly as can be.

    Args:
        text: The text, which has more tokens than `room`.
        room: How many of its own tokens a window has.
        stride: How many of them it shares with the next window at least; None for half of them.

    Raises:
        InterpretationError: If windows would not get on.
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
    best, most = None, -1
    for number, (start, end) in enumerate(windows):
        left = length if start == 0 else span[0] - start
        right = length if end == length else end - span[1]
        if min(left, right) > most:
            best, most = number, min(left, right)
    return best


def truncated(texts: Sequence[LongText], room: int) -> dict[str, Span]:
    """What the tokenizer leaves of texts: of two, the longer is cut first.

    Args:
        texts: One text or two.
        room: How many of their own tokens fit.

    Returns:
        Per text that is cut, by its name, which of its own tokens are left.

    Raises:
        InterpretationError: If nothing fits.
    """
    if room < 1:
        names = " and ".join(repr(text.name) for text in texts)
        raise InterpretationError(
            f"nothing of field {names} fits beside the other texts; shorten those"
        )
    kept = [room]
    if len(texts) > 1:
        first, second = texts
        kept = _shares(first.length, second.length, room)
    return {
        text.name: cut(text, count)
        for text, count in zip(texts, kept, strict=True)
        if count < text.length
    }


def cut(text: LongText, count: int) -> Span:
    """Which of a text's own tokens are left, on the side where the tokenizer does not cut."""
    if getattr(field_tokenizer(text.field), "truncation_side", "right") == "left":
        return text.length - count, text.length
    return 0, count


def _shares(first: int, second: int, room: int) -> list[int]:
    half = room // 2
    if first <= half:
        return [first, room - first]
    if second <= half:
        return [room - second, second]
    return [room - half, half] if first > second else [half, room - half]
