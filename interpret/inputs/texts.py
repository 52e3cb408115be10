"""The texts of an instance: its text fields and the items of its lists of them, and what made
their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allennlp.data import TokenIndexer
from allennlp.data.fields import ListField, TextField
from allennlp.data.fields.field import Field
from allennlp.data.tokenizers import Token


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
