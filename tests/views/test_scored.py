"""The running text with scores: what is shown is what was written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from allennlp_saliency.views.scored import scored_text, token_names
from tests.views.explanations import attribution, field


def test_joined_it_is_the_text() -> None:
    one = field("An unkind  film.", ["An", "un", "##kind", "film", "."], [1.0, 2.0, 4.0, 8.0, 16.0])
    pieces = list(scored_text(one))
    assert "".join(piece.text for piece in pieces) == "An unkind  film."
    assert [piece.score for piece in pieces if piece.tokens] == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_special_tokens_stand_apart() -> None:
    one = field("a film", ["[CLS]", "a", "film", "[SEP]"], [1.0, 2.0, 3.0, 4.0])
    shown = "".join(piece.text for piece in scored_text(one))
    assert shown.split() == ["[CLS]", "a", "film", "[SEP]"]
    assert sum(piece.score or 0.0 for piece in scored_text(one)) == 10.0


def test_tokens_of_one_character_are_one_piece() -> None:
    one = attribution(["a", "b"], [1.0, 2.0])
    emoji = replace(one, text="\U0001f600", offsets=[(0, 1), (0, 1)])
    (piece,) = scored_text(emoji)
    assert (piece.text, piece.score, piece.tokens) == ("\U0001f600", 3.0, (0, 1))


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\u202e", "\x00"])
def test_nothing_that_a_terminal_obeys(hostile: str) -> None:
    for one in (field(f"a{hostile}b", ["a", "b"], [1.0, 1.0]), attribution([hostile], [1.0])):
        assert hostile not in "".join(piece.text for piece in scored_text(one))


def test_names_are_what_stands_in_the_text() -> None:
    one = field("Straße [x]", ["stra", "##ße", "[UNK]"], [1.0] * 3)
    one = replace(one, offsets=[(0, 4), (4, 6), (7, 10)])
    assert token_names(one) == ["Stra", "ße", "[x]"]
    assert token_names(attribution(["Ġa", "##b"], [1.0] * 2)) == ["a", "##b"]
