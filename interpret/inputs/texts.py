"""The texts of an instance, their words and tokens, and the entities in their tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import regex
from allennlp.data import Instance, TokenIndexer
from allennlp.data.fields import ListField, TextField
from allennlp.data.fields.field import Field
from allennlp.data.tokenizers import Token

from ..explanation import Span


@dataclass(frozen=True)
class TextItem:
    """A text field of an instance, or one item of a list of them.

    Attributes:
        index: Its place in the list, one number per level of nesting; empty for a text field
            that stands alone.
        text: The text field.
        first_token: How many tokens the items before it have.
    """

    index: tuple[int, ...]
    text: TextField
    first_token: int

    def name(self, field: str) -> str:
        """The name of the item: `"choices[1]"`."""
        return field + "".join(f"[{number}]" for number in self.index)


def text_items(field: Field) -> list[TextItem]:
    """The text fields in a field, in order; none where it is no text field."""
    if isinstance(field, TextField):
        return [TextItem((), field, 0)]
    items: list[TextItem] = []
    for number, part in enumerate(field.field_list if isinstance(field, ListField) else ()):
        first = items[-1].first_token + len(items[-1].text.tokens) if items else 0
        for item in text_items(part):
            index = (number, *item.index)
            items.append(TextItem(index, item.text, first + item.first_token))
    return items


def padded_positions(instance: Instance) -> int:
    """How many positions the text fields of an instance take in a batch; it must be indexed."""
    counts = [
        [n for key, n in lengths.items() if not key.endswith("num_token_characters")]
        for name, lengths in instance.get_padding_lengths().items()
        if text_items(instance.fields[name])
    ]
    return sum(max(own, default=0) for own in counts)


def token_spans(tokens: Sequence[Token]) -> list[tuple[int, int] | None]:
    """Per token its characters in the text, None where the tokenizer did not say."""
    spans: list[tuple[int, int] | None] = []
    for token in tokens:
        start, end = token.idx, getattr(token, "idx_end", None)
        if start is not None and end is None:
            end = start + len(token.text or "")
        spans.append(None if start is None or end is None else (start, end))
    return spans


def tokenizer_of(indexer: TokenIndexer | None) -> Any:
    """The Hugging Face tokenizer of a token indexer; None for indexers that have none."""
    return getattr(indexer, "_tokenizer", None)


_SPACE = r"\s\x1c-\x1f"  # as `str.isspace` has it
_PUNCTUATION = r"\p{P}\p{S}"
_INSIDE = rf"[^{_SPACE}{_PUNCTUATION}]"
_WORD = regex.compile(rf"{_INSIDE}(?:[^{_SPACE}]*{_INSIDE})?|[{_PUNCTUATION}]")


def word_spans(text: str) -> list[Span]:
    """Where the words of a text stand.

    What stands between spaces is a word; punctuation before and after it are words of their own,
    one for each character: `(don't` `!` is `(`, `don't`, `!`.

    Returns:
        Character spans, in order, that cover all but the spaces.
    """
    return [match.span() for match in _WORD.finditer(text)]


def tag_spans(tags: Sequence[str]) -> list[tuple[int, int]]:
    """The entities in a sequence of tags: BIO, IOB1, BIOUL (BILOU), BMES, or bare types.

    Tags that do not fit a scheme are read leniently: an entity ends where its type changes or
    another begins, and a stray continuation begins one.

    Args:
        tags: `"O"` outside, `"B-PER"` and the like inside, one per token.

    Returns:
        Half-open token ranges, in order.
    """
    spans: list[tuple[int, int]] = []
    open_kind: str | None = None
    for position, tag in enumerate(tags):
        prefix, kind = _parse(tag)
        if kind is None:
            open_kind = None
            continue
        if open_kind == kind and prefix in _CONTINUES:
            spans[-1] = (spans[-1][0], position + 1)
        else:
            spans.append((position, position + 1))
        open_kind = None if prefix in _ENDS else kind
    return spans


_CONTINUES = frozenset({"I", "L", "E", "M", ""})
_ENDS = frozenset({"U", "L", "E", "S"})
_PREFIXES = frozenset("BIOULEMS")


def _parse(tag: str) -> tuple[str, str | None]:
    """A tag's prefix and the entity type; no type outside of entities."""
    if tag == "O":
        return "O", None
    prefix, dash, kind = tag.partition("-")
    if dash and prefix in _PREFIXES:
        return prefix, kind
    return ("", tag) if tag not in _PREFIXES else (tag, "")
