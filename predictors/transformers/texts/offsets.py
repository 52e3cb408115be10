"""Offsets of tokens in a text, for tokenizers that return none, or loose ones."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from allennlp_saliency.interpret.explanation import Span


def trimmed(text: str, span: Span) -> Span:
    """A span without the spaces around it, which some tokenizers count as part of a token.

    A span of nothing but spaces stays as it is.
    """
    start, end = span
    inside = text[start:end]
    start, end = start + len(inside) - len(inside.lstrip()), start + len(inside.rstrip())
    return (start, end) if start < end else span


def found_spans(text: str, surfaces: Sequence[str]) -> list[Span | None]:
    """Finds tokens in the text that they were made of, one after the other.

    Case, accents and compatibility forms do not count, as tokenizers may drop them.

    Args:
        text: The text.
        surfaces: The text of each token, without marks of the tokenizer's.

    Returns:
        Per token its characters, None for one that is not found where it should be (an unknown
        word); then the search goes on after the next token that is.
    """
    plain, places = _plain(text)
    spans: list[Span | None] = []
    at = 0
    for surface in surfaces:
        wanted = _plain(surface)[0].strip()
        start = plain.find(wanted, at) if wanted else -1
        if start < 0 or (spans and spans[-1] is not None and plain[at:start].strip()):
            spans.append(None)
            continue
        at = start + len(wanted)
        spans.append((places[start], places[at - 1] + 1))
    return spans


def generated_spans(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> list[Span]:
    """Where generated tokens stand in the text that they decode to.

    Tokens that hold a part of a character's bytes each get the whole character.

    Args:
        decode: The text of some tokens.
        ids: The tokens.
    """
    text = decode(ids)
    spans: list[Span] = []
    start = 0
    for number in range(len(ids)):
        so_far = decode(ids[: number + 1])
        spans.append(trimmed(text, (start, min(max(len(so_far), start), len(text)))))
        # A character that is not complete yet is decoded as a replacement character.
        start = max(start, min(len(so_far.rstrip("\ufffd")), len(text)))
    return spans


def _plain(text: str) -> tuple[str, list[int]]:
    """A text without case and accents, and for each of its characters the place in the text."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for part in unicodedata.normalize("NFKD", character.casefold()):
            if not unicodedata.combining(part):
                characters.append(part)
                places.append(place)
    return "".join(characters), places
