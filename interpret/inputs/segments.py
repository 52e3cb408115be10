"""Where the words, sentences and paragraphs of a text stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from ..explanation import Span
from .texts import word_spans

LEVELS = ("paragraph", "sentence", "word")
"""The segments of a text, the largest first."""

_BETWEEN_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*")
_HALF = re.compile(r"[\ud800-\udfff]")
# They end a sentence without a space behind them.
_FULL_WIDTH_END = re.compile(r"(?<=[。！？])(?![。！？」』”])")


def segment_spans(text: str, level: str) -> list[Span]:
    """The characters of each word, sentence or paragraph.

    Args:
        text: The text.
        level: One of `LEVELS`. Paragraphs have an empty line between them.

    Returns:
        Spans in order, without the space around them; together they cover all but spaces.
    """
    if level == "word":
        return word_spans(text)
    if level == "sentence":
        return [
            sentence
            for start, end in segment_spans(text, "paragraph")
            for sentence in _sentences(text, start, end)
        ]
    ends = [(found.start(), found.end()) for found in _BETWEEN_PARAGRAPHS.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(text)]
    return list(_trimmed(text, zip(starts, stops, strict=True)))


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    """The sentences of a part of a text, by spaCy's rules, which know abbreviations."""
    places = [start, *(m.start() for m in _FULL_WIDTH_END.finditer(text, start, end)), end]
    for first, last in pairwise(places):
        # spaCy takes no halves of a character, which JSON may have.
        document = _splitter()(_HALF.sub("\ufffd", text[first:last]))
        own = ((first + one.start_char, first + one.end_char) for one in document.sents)
        yield from _trimmed(text, own)


def _trimmed(text: str, spans: Any) -> Iterator[Span]:
    """Spans without the space at their ends; none for a span of space."""
    for start, end in spans:
        part = text[start:end]
        if part.strip():
            yield start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


@cache
def _splitter() -> Any:
    # Imported here: it takes longer than all else, and only sentences need it.
    import spacy

    language = spacy.blank("en")
    language.max_length = 10**9
    language.add_pipe("sentencizer")
    return language
