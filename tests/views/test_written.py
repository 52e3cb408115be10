"""A text that was explained token by token is a matrix; nothing else is."""

from __future__ import annotations

from dataclasses import replace

from allennlp_saliency.views.written import (
    matrices_of_text,
    output_in_words,
    output_of,
    titles_of,
)
from tests.views.explanations import GOOD, attribution, explanation, field, written_text


def test_a_row_per_output_and_a_column_per_token() -> None:
    source, generated = matrices_of_text(written_text())
    assert (source.field, generated.field) == ("source", "generated")
    assert source.rows == ["a", "good", "film"]
    assert source.columns == ["un", "bon", "film"]
    assert source.values == [[1.0, 0.25, 0.0], [0.0, 2.0, -0.5], [0.0, 0.5, 1.5]]
    assert generated.columns == ["a", "good"]
    assert generated.values == [[None, None], [0.125, None], [0.125, 0.125]]
    assert source.strongest == 2.0
    assert generated.transposed().values == [[None, 0.125, 0.125], [None, None, 0.125]]


def test_columns_may_be_words() -> None:
    texts = [
        replace(one, inputs=[one.inputs[0], field("goodish.", ["good", "##ish", "."], scores)])
        for one, scores in zip(written_text(), ([1.0, 2.0, 4.0],) * 3, strict=True)
    ]
    source, _ = matrices_of_text(texts, words=True)
    assert source.columns == ["goodish", "."]
    assert source.values == [[3.0, 4.0]] * 3


def test_what_is_no_text() -> None:
    text = written_text()
    other = replace(text[1], interpreter={"type": "another"})
    assert matrices_of_text([]) == []
    assert matrices_of_text(text[:1]) == []
    assert matrices_of_text([GOOD, GOOD]) == [], "two entities of one sentence"
    assert matrices_of_text([text[0], other]) == [], "two methods"
    assert matrices_of_text([text[1], text[0]]) == [], "the wrong order"
    changed = explanation(attribution(["another", "text", "that"], [1.0] * 3))
    assert matrices_of_text([GOOD, changed]) == [], "two texts"


def test_titles_say_which_output_it_is() -> None:
    assert titles_of(written_text())[1] == "token 2 of 3: 'good'"
    assert titles_of([GOOD, GOOD]) == ["1 of 2: 'positive'", "2 of 2: 'positive'"]
    spans = [
        replace(one, target={**one.target, "label": label, "positions": [n]})
        for n, (one, label) in enumerate(zip(written_text(), ("a good", "film", "."), strict=True))
    ]
    assert titles_of(spans)[0] == "part 1 of 3: 'a good'"


def test_names_of_outputs() -> None:
    tags = explanation(target={"type": "logit", "label": ["B-PER", "L-PER"]})
    assert output_of(tags) == "B-PER L-PER"
    assert output_of(explanation(target={"type": "logit"})) == ""
    assert output_of(explanation(target={"label": 3})) == "3"


def test_outputs_with_their_probability() -> None:
    assert output_in_words(GOOD) == "positive 98.0 %"
    assert output_in_words(written_text()[1]) == "good 60.7 %"
    assert output_in_words(explanation(target={"type": "logit", "label": "x"})) == "x"
    tags = explanation(target={"type": "logit", "label": ["B-PER", "L-PER"]})
    assert output_in_words(tags) == "B-PER L-PER"
