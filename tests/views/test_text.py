"""Scores stand at the text as it was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allennlp_saliency.interpret.explanation import InputAttribution, Span
from allennlp_saliency.views.text import TextPiece, running_text


def pieces(
    tokens: list[str], offsets: list[Span | None], text: str | None = None
) -> list[TextPiece]:
    scores = [0.0] * len(tokens)
    return running_text(
        InputAttribution("tokens", "grad_input_1", tokens, offsets, scores, text=text)
    )


def told(found: list[TextPiece]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(piece.text, piece.tokens, piece.kind) for piece in found]


def test_wordpieces_at_the_written_text() -> None:
    tokens = ["[CLS]", "un", "##believ", "##able", "film", "!", "[SEP]"]
    offsets: list[Span | None] = [None, (0, 2), (2, 8), (8, 12), (14, 18), (18, 19), None]
    assert told(pieces(tokens, offsets, "UNbelievable  Film! ")) == [
        ("[CLS]", (0,), "special"),
        ("UN", (1,), "text"),
        ("believ", (2,), "text"),
        ("able", (3,), "text"),
        ("  ", (), "text"),
        ("Film", (4,), "text"),
        ("!", (5,), "text"),
        ("[SEP]", (6,), "special"),
        (" ", (), "text"),
    ]


def test_unknown_words_show_what_was_written() -> None:
    found = pieces(["[UNK]", "[UNK]", "[UNK]"], [(0, 1), (2, 7), None], "\U0001f600 [UNK]")
    assert told(found) == [
        ("\U0001f600", (0,), "unknown"),
        (" ", (), "text"),
        ("[UNK]", (1,), "text"),  # It was written so.
        ("[UNK]", (2,), "unknown"),
    ]
    assert [piece.written for piece in found] == [True, True, True, False]


def test_the_space_that_a_token_includes_is_not_its() -> None:
    found = pieces(["\u2581film", "\u2581", "\u2581"], [(0, 5), (5, 6), (6, 6)], " film  ")
    assert told(found) == [
        (" ", (), "text"),
        ("film", (0,), "text"),
        (" ", (1,), "text"),
        ("", (2,), "absent"),
        (" ", (), "text"),
    ]


def test_tokens_that_share_characters_share_pieces() -> None:
    assert told(
        pieces(["\u00e8", "\u00aa", "ab", "b"], [(0, 1), (0, 1), (1, 3), (2, 3)], "xab")
    ) == [
        ("x", (0, 1), "text"),
        ("a", (2,), "text"),
        ("b", (2, 3), "text"),
    ]


def test_what_comes_behind_the_tokens_stays() -> None:
    assert told(pieces(["\u2581der"], [(0, 3)], "der Hund")) == [
        ("der", (0,), "text"),
        (" Hund", (), "text"),
    ]


def test_a_text_that_is_not_known_is_rebuilt() -> None:
    found = pieces(["[CLS]", "film", "##s", "!", "[SEP]"], [None, (0, 4), (4, 5), (6, 7), None])
    assert "".join(piece.text for piece in found) == "[CLS] films ! [SEP]"
    assert [piece.kind for piece in found if piece.tokens] == [
        "special",
        *["text"] * 3,
        "special",
    ]
    assert told(pieces(["<b>"], [(0, 3)])) == [("<b>", (0,), "text")]


@st.composite
def attributions(draw: st.DrawFn) -> InputAttribution:
    text = draw(st.text(max_size=12))
    place = st.integers(0, len(text))
    span = st.tuples(place, place).map(lambda pair: (min(pair), max(pair)))
    pairs = draw(st.lists(st.tuples(st.text(max_size=3), st.none() | span), max_size=8))
    tokens, offsets = [token for token, _ in pairs], [span for _, span in pairs]
    known = draw(st.sampled_from([text, None]))
    return InputAttribution("x", "grad_input_1", tokens, offsets, [0.0] * len(pairs), text=known)


@given(attributions())
def test_nothing_is_lost(one: InputAttribution) -> None:
    found = running_text(one)
    assert {number for piece in found for number in piece.tokens} == set(range(len(one.tokens)))
    if one.text is not None:
        assert "".join(piece.text for piece in found if piece.written) == one.text
    for piece in found:
        assert piece.text or piece.tokens


@pytest.mark.parametrize("text", ["", None])
def test_no_tokens(text: str | None) -> None:
    assert pieces([], [], text) == []
