"""Words of a text."""

from __future__ import annotations

import random
import sys
import unicodedata

import pytest

from allennlp_saliency.interpret.inputs.texts import word_spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a great film", ["a", "great", "film"]),
        ("  don't  stop! ", ["don't", "stop", "!"]),
        ('("yes," he said...)', ["(", '"', "yes", ",", '"', "he", "said", ".", ".", ".", ")"]),
        ("state-of-the-art", ["state-of-the-art"]),
        ("שלום, עולם", ["שלום", ",", "עולם"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("", []),
        (" \n", []),
        ("?!", ["?", "!"]),
        ("a😀", ["a", "😀"]),
    ],
)
def test_word_spans(text: str, words: list[str]) -> None:
    assert [text[slice(*span)] for span in word_spans(text)] == words


def test_a_word_ends_where_spaces_and_punctuation_around_it_begin() -> None:
    """Python's Unicode may be older than that of the pattern: unassigned characters differ."""
    assigned = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) != "Cn"]
    generator = random.Random(0)
    for _ in range(2000):
        characters = generator.choices(generator.choice([" a.,é日\x1c\x85\u3000'", assigned]), k=12)
        text = "".join(characters)
        words = [text[slice(*span)] for span in word_spans(text)]
        assert words == [word for one in text.split() for word in peeled(one)], repr(text)


def peeled(word: str) -> list[str]:
    """A word and the punctuation around it, character by character."""
    if not word or (not is_punctuation(word[0]) and not is_punctuation(word[-1])):
        return [word] if word else []
    if is_punctuation(word[0]):
        return [word[0], *peeled(word[1:])]
    return [*peeled(word[:-1]), word[-1]]


def is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"
