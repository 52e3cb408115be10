"""Where the words of a sentence stand."""

from __future__ import annotations

import pytest

from allennlp_saliency.predictors.allennlp_models.places import piece_places, word_places


@pytest.mark.parametrize(
    ("words", "sentence", "expected"),
    [
        (["a", "film", "."], "a film.", [(0, 1), (2, 6), (6, 7)]),
        (["a", "a"], "a  a", [(0, 1), (3, 4)]),
        # Another name of a bracket has no place; what comes next has.
        (["-LRB-", "a", "-RRB-", "b"], "(a) b", [None, (1, 2), None, (4, 5)]),
        # "is" is not what stands in "this".
        (["so", "is", "it"], "so this is it", [(0, 2), None, (11, 13)]),
        ([], "", []),
    ],
)
def test_words(words: list[str], sentence: str, expected: list[tuple[int, int] | None]) -> None:
    assert word_places(words, sentence) == expected


def test_pieces() -> None:
    assert list(piece_places(["un", "##be", "##liev"], (3, 11))) == [(3, 5), (5, 7), (7, 11)]
    assert list(piece_places(["[UNK]"], (3, 11))) == [(3, 11)]
