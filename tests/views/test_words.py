"""Words of tokens, by the text where it is known."""

from __future__ import annotations

import pytest

from allennlp_saliency.interpret import to_words
from allennlp_saliency.interpret.explanation import Interaction
from allennlp_saliency.views.words import in_words
from tests.views.explanations import attribution, explanation, field

PIECES = ["[CLS]", "un", "##kind", ",", "don", "'", "t", "!", "[SEP]"]
SCORES = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]


def test_the_scores_of_a_words_tokens_are_added_up() -> None:
    whole = explanation(field("unkind, don't!", PIECES, SCORES))
    (one,) = in_words(whole).inputs
    assert one.tokens == ["[CLS]", "unkind", ",", "don't", "!", "[SEP]"]
    assert one.attributions == [1.0, 6.0, 8.0, 112.0, 128.0, 256.0]
    assert one.offsets == [None, (0, 6), (6, 7), (8, 13), (13, 14), None]
    assert in_words(in_words(whole)) == in_words(whole)


@pytest.mark.parametrize(
    "text", ["unkind, don't!", "(well-known) 3.5 %", "ni\u00f1o, \u092e\u0948\u0902 \u4e2d\u6587"]
)
def test_they_are_those_of_to_words(text: str) -> None:
    """Which asks the same text by other code."""
    letters = [one for one in text if not one.isspace()]
    whole = explanation(field(text, letters, [1.0] * len(letters)))
    assert in_words(whole).inputs[0].tokens == to_words(whole).inputs[0].tokens
    assert in_words(whole).inputs[0].attributions == to_words(whole).inputs[0].attributions


def test_without_a_text_by_the_marks_of_tokens() -> None:
    for tokens in (["un", "##kind", "film"], ["Ġun", "kind", "Ġfilm"], ["▁un", "kind", "▁film"]):
        (one,) = in_words(explanation(attribution(tokens, [1.0, 2.0, 4.0]))).inputs
        assert one.attributions == [3.0, 4.0]
        assert one.tokens[0] == "unkind"


def test_positions_and_pairs_are_those_of_words() -> None:
    whole = explanation(
        field("unkind film", ["un", "##kind", "film"], [1.0, 2.0, 4.0]),
        target={"type": "logit", "label": "B", "positions": [2], "value": 1.0},
        interactions=[
            Interaction(("source", 0), ("source", 2), 0.5),
            Interaction(("source", 0), ("source", 1), 0.25),
        ],
    )
    found = in_words(whole)
    assert found.target["positions"] == [1]
    assert found.interactions == [Interaction(("source", 0), ("source", 1), 0.5)]
