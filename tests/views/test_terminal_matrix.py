"""A written text in the terminal: a matrix, and which output each explanation belongs to."""

from __future__ import annotations

from dataclasses import replace

from rich.cells import cell_len

from allennlp_saliency.views import render
from tests.views.explanations import (
    GOOD,
    attribution,
    explanation,
    field,
    printed,
    styles,
    terminal,
    written_text,
)


def test_a_row_per_output() -> None:
    lines = printed(written_text()).splitlines()
    start = lines.index("source: a row for each token of the text")
    assert lines[start + 1 : start + 5] == [
        "        un   bon  film",
        "a    +1.00 +0.25  0.00",
        "good  0.00 +2.00 -0.50",
        "film  0.00 +0.50 +1.50",
    ]
    start = lines.index("generated: a row for each token of the text")
    assert [line.split() for line in lines[start + 2 : start + 5]] == [
        *(["a"], ["good", "+0.12"], ["film", "+0.12", "+0.12"])
    ]


def test_each_explanation_says_which_output_it_is_of() -> None:
    page = printed(written_text())
    assert "\ntoken 1 of 3: 'a'\n" in page
    assert "\ntoken 3 of 3: 'film'\n" in page
    assert "strongest   bon +2.00  film -0.50  a +0.12\n" in page
    assert "\nsource  " not in page, "the matrix has the scores already"


def test_entities_are_no_written_text() -> None:
    assert "a row for each token" not in printed([GOOD, GOOD])


def test_columns_are_in_blocks_that_fit() -> None:
    tokens = [f"token{number}" for number in range(30)] + ["x" * 40, "\u4e2d\u6587" * 10]
    long = [
        replace(one, inputs=[one.inputs[0], field(" ".join(tokens), tokens, [0.5] * 32)])
        for one in written_text()
    ]
    page = printed(long, width=60)
    matrix = page.split("\n\n")[0].splitlines()
    assert all(cell_len(line) < 60 for line in matrix)
    assert sum("+0.50" in line for line in matrix) % 3 == 0
    assert page.split("\n\n")[0].count("+0.50") == 3 * 32
    assert "\u2026" in page


def test_colours_are_those_of_one_scale() -> None:
    console = terminal()
    render(written_text(), console=console)
    shown = styles(console)
    strongest, weak = shown["+2.00"], shown["+0.12"]
    assert strongest.bgcolor is not None
    assert weak.bgcolor is not None
    assert strongest.bgcolor != weak.bgcolor


def test_hostile_tokens_are_escaped() -> None:
    hostile = [
        replace(one, inputs=[one.inputs[0], attribution(["\x1b[31m", "\u202e"], [1.0, 0.5])])
        for one in written_text()
    ]
    page = printed(hostile)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\\u202e" in page


def test_words_have_the_sum_of_their_tokens() -> None:
    one = explanation(field("unkind film.", ["un", "##kind", "film", "."], [1.0, 2.0, -0.5, 0.25]))
    page = printed([one], words=True)
    assert "unkind +3.00" in page
    assert "film -0.50" in page
    assert "un +1.00" in printed([one])
