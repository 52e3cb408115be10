"""Words of a text."""

from __future__ import annotations

import pytest

from allennlp_saliency.interpret.inputs.words import word_spans


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
