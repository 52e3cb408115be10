"""The texts of an instance: its text fields and the items of its lists of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
    items: list[TextItem] = []
    first = 0
    for index, text in _texts(field, ()):
        items.append(TextItem(index, text, first))
        first += len(text.tokens)
    return items


def _texts(field: Field, index: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], TextField]]:
    if isinstance(field, TextField):
        yield index, field
    elif isinstance(field, ListField):
        for number, item in enumerate(field.field_list):
            yield from _texts(item, (*index, number))


def token_spans(tokens: Sequence[Token]) -> list[tuple[int, int] | None]:
    """Per token its characters in the text, None where the tokenizer did not say."""
    spans: list[tuple[int, int] | None] = []
    for token in tokens:
        start, end = token.idx, getattr(token, "idx_end", None)
        if start is not None and end is None:
            end = start + len(token.text or "")
        spans.append(None if start is None or end is None else (start, end))
    return spans
