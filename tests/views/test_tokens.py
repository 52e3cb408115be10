"""Tokens as a reader sees them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allennlp_saliency.interpret.explanation import Explanation, Span
from allennlp_saliency.views.outputs import target_in_words
from allennlp_saliency.views.tokens import printable, readable, short


def shown(tokens: list[str], offsets: list[Span | None] | None = None) -> str:
    """The pieces as they stand in a line."""
    return "".join(
        piece.text if piece.glued else f" {piece.text}" for piece in readable(tokens, offsets)
    ).strip()


@pytest.mark.parametrize(
    ("tokens", "line"),
    [
        (["[CLS]", "un", "##believ", "##able", "[SEP]"], "[CLS] unbelievable [SEP]"),
        (
            ["<s>", "great", "\u0120film", "ing", "</s>", "</s>", "x"],
            "<s> great filming </s> </s> x",
        ),
        (["\u2581a", "\u2581ca", "f\u00e9", "."], "a caf\u00e9."),
        (["\u0120caf", "\u00c3\u00a9"], "caf\u00e9"),
        (["\u0120\u00c3"], "\\xc3"),
        (["##", "x"], "## x"),
        (["##able"], "able"),
        (["a", "", " "], "a \"\" ' '"),
        (["\u0120", "x"], '""x'),
        ([], ""),
    ],
)
def test_marks_of_tokenizers(tokens: list[str], line: str) -> None:
    assert shown(tokens) == line


def test_tokens_that_touch_in_the_text_touch() -> None:
    tokens = ["do", "n't", "stop", "."]
    assert shown(tokens, offsets=[(0, 2), (2, 5), (6, 10), (10, 11)]) == "don't stop."
    assert shown(tokens, offsets=[(0, 2), None, (6, 10), (6, 10)]) == "do n't stop ."


@given(st.text())
def test_nothing_printable_is_a_command(text: str) -> None:
    safe = printable(text)
    allowed = {"\u200c", "\u200d"}
    unsafe = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not {c for c in safe if unicodedata.category(c) in unsafe} - allowed
    safe.encode("utf-8")
    printable(text, "ascii").encode("ascii")


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.lists(st.text()))
def test_every_token_has_a_piece(tokens: list[str]) -> None:
    pieces = readable(tokens)
    assert len(pieces) == len(tokens)
    assert all(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"bias": 0.04049955, "softmax": -0.1558}, "(bias 0.0405, softmax -0.156)"),
        ({"type": "zero", "keep_special_tokens": True}, "zero (keep_special_tokens true)"),
        ({"type": "zero"}, "zero"),
        ({}, "()"),
    ],
)
def test_parameters_in_a_few_words(value: object, words: str) -> None:
    assert short(value) == words


def test_a_function_as_a_target_has_its_name() -> None:
    target = {"type": "FunctionTarget", "function": "margin", "value": 3.25}
    assert target_in_words(Explanation({"type": "lrp"}, target, [])) == "function margin: 3.25"
