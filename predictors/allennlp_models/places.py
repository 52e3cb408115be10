"""Where in a sentence its words stand; predictors that split it themselves do not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from allennlp.data import Token

from allennlp_saliency.interpret.explanation import Span


def text_under(inputs: Mapping[str, Any], key: str) -> str | None:
    """The text that stands under a key of an input, for the places of words in it.

    Args:
        inputs: The input.
        key: The key that allennlp-models' predictor reads.

    Returns:
        None if there is none: a predictor that is derived from it may read other keys.
    """
    # An input records what the predictor looks up; this look-up is not the predictor's.
    found = dict(inputs).get(key)
    return found if isinstance(found, str) else None


def place_words(tokens: Sequence[Token], sentence: str | None) -> None:
    """Notes on tokens that have no place yet where in a sentence they stand.

    Args:
        tokens: The words, in order. One that is not in the sentence (a bracket by another name) has
            no place.
        sentence: The sentence; None if it is not known, and nothing is noted.
    """
    if sentence is None:
        return
    words = [token.text or "" for token in tokens]
    for token, span in zip(tokens, word_places(words, sentence), strict=True):
        if token.idx is None and span is not None:
            token.idx, token.idx_end = span


def word_places(words: Sequence[str], sentence: str) -> list[Span | None]:
    """Where in a sentence its words stand, None for those that are not in it."""
    spans: list[Span | None] = []
    place, skipped = 0, False
    for word in words:
        first = sentence.find(word, place) if word else -1
        # What lies between is a word that is not found, or there is nothing but space.
        if first < 0 or (sentence[place:first].strip() and not skipped):
            spans.append(None)
            skipped = True
            continue
        place, skipped = first + len(word), False
        spans.append((first, place))
    return spans


def piece_places(pieces: Sequence[str], word: Span) -> Iterator[Span]:
    """Where the pieces of a word stand; at the whole word where they are not its characters."""
    start, end = word
    bare = [piece.removeprefix("##") if number else piece for number, piece in enumerate(pieces)]
    if sum(map(len, bare)) != end - start:
        yield from (word for _ in pieces)
        return
    for piece in bare:
        yield start, start + len(piece)
        start += len(piece)
