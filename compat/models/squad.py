"""The reader of transformer question answering: where its tokens end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..registry import patch

# The reader puts "a " before each word but the first, and takes it off again.
_PREFIX = 2


@patch(
    "allennlp_models.rc.dataset_readers.transformer_squad",
    "TransformerSquadReader._tokenize_context",
    why="it moves the beginning of a context's tokens to their place, and not their end",
)
def token_ends(original: Callable[..., list[Any]], reader: Any, context: str) -> list[Any]:
    """Move both ends of a token."""
    tokens = original(reader, context)
    for token in tokens:
        if token.idx is not None and token.idx_end is not None:
            start = _word_start(context, token.idx)
            token.idx_end += start - (_PREFIX if start > 0 else 0)
    return tokens


def _word_start(context: str, place: int) -> int:
    """Where the word begins that a token is part of; a token may begin at the space before it."""
    place = max(place, 0)
    if place < len(context) and context[place].isspace():
        return place + 1
    while place > 0 and not context[place - 1].isspace():
        place -= 1
    return place
