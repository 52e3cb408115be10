"""Words, sentences and paragraphs of a text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allennlp_saliency.interpret.inputs.segments import LEVELS, segment_spans

TEXT = (
    "Dr. Smith went home.  He slept! Why?\n\n"
    "Apples cost 3.50 dollars, e.g. at Fred's.\nPears do not.\n \n他很好。我也好！"
)


def parts(text: str, level: str) -> list[str]:
    return [text[start:end] for start, end in segment_spans(text, level)]


def test_paragraphs_have_an_empty_line_between_them() -> None:
    assert [len(part) for part in parts(TEXT, "paragraph")] == [36, 55, 8]


def test_sentences_end_at_punctuation_but_not_at_abbreviations() -> None:
    assert parts(TEXT, "sentence") == [
        "Dr. Smith went home.",
        "He slept!",
        "Why?",
        "Apples cost 3.50 dollars, e.g. at Fred's.",
        "Pears do not.",
        "他很好。",
        "我也好！",
    ]


def test_words() -> None:
    assert parts("Why not, Fred?", "word") == ["Why", "not", ",", "Fred", "?"]


@pytest.mark.parametrize("level", LEVELS)
@given(text=st.text(alphabet="ab.!? \n。\t", max_size=60))
def test_segments_cover_all_but_space(level: str, text: str) -> None:
    spans = segment_spans(text, level)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    covered = {place for start, end in spans for place in range(start, end)}
    assert {place for place, character in enumerate(text) if not character.isspace()} <= covered
    assert all(text[start].strip() and text[end - 1].strip() for start, end in spans)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("text", ["", " ", "\n\n", " \n \n "])
def test_a_text_of_nothing_has_no_segments(level: str, text: str) -> None:
    assert segment_spans(text, level) == []
