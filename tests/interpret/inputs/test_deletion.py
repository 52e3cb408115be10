"""A text without some of its characters reads like a text."""

from __future__ import annotations

from typing import Any

import pytest
from allennlp.data.fields import TextField
from allennlp.data.tokenizers import SpacyTokenizer, Token, WhitespaceTokenizer

from allennlp_saliency.interpret.inputs.deletion import without
from allennlp_saliency.interpret.inputs.json_texts import json_texts, path_name, trace, with_texts
from allennlp_saliency.interpret.inputs.texts import text_items


@pytest.mark.parametrize(
    ("text", "deleted", "left"),
    [
        ("a bad film", ["bad"], "a film"),
        ("a bad film", ["a"], "bad film"),
        ("a bad film", ["film"], "a bad"),
        ("a bad film", [" bad"], "a film"),
        ("a bad film", ["a", "bad"], "film"),
        ("a bad film", ["a", "film"], "bad"),
        ("a bad film", ["a", "bad", "film"], ""),
        ("a bad film", [], "a bad film"),
        ("a  bad   film", ["bad"], "a  film"),
        ("bad, really", ["bad"], ", really"),
        ("bad, really", [","], "bad really"),
        ("bad,really", [","], "bad really"),
        ("bad,really", ["bad"], ",really"),
        ("not bad.", ["bad"], "not ."),
        ("unbelievable", ["believ"], "unable"),
        ("don't", ["n't"], "do"),
        ("One. Two. Three.", ["Two."], "One. Three."),
        ("One.\n\nTwo.\n\nThree.", ["Two."], "One.\n\nThree."),
        ("One. Two.\n\nThree.", ["Two."], "One.\n\nThree."),
        ("One.\n\nTwo. Three.", ["Two."], "One.\n\nThree."),
        ("我不喜欢它", ["不"], "我喜欢它"),
        (" a b ", ["b"], " a"),
        ("a b", [" "], "a b"),
    ],
)
def test_what_is_left(text: str, deleted: list[str], left: str) -> None:
    spans = [(text.index(part), text.index(part) + len(part)) for part in deleted]
    assert without(text, spans) == left
    assert without(text, spans[::-1]) == left


def test_spans_may_overlap() -> None:
    assert without("one two three", [(0, 5), (4, 7)]) == "three"
    assert without("one two three", [(0, 7), (4, 5)]) == "three"


INPUT: dict[str, Any] = {
    "prompt": "It rains.",
    "choices": ["an umbrella", "a hat"],
    "messages": [{"role": "user", "content": "Hello"}],
    "count": 3,
}


def test_the_texts_of_an_input_and_others_in_their_place() -> None:
    texts = json_texts(INPUT)
    assert {path_name(path): text for path, text in texts.items()} == {
        "prompt": "It rains.",
        "choices[0]": "an umbrella",
        "choices[1]": "a hat",
        "messages[0].role": "user",
        "messages[0].content": "Hello",
    }
    edited = with_texts(INPUT, {("choices", 1): "", ("messages", 0, "content"): "Bye"})
    assert edited["choices"] == ["an umbrella", ""]
    assert edited["messages"] == [{"role": "user", "content": "Bye"}]
    assert edited["count"] == 3
    assert INPUT["choices"] == ["an umbrella", "a hat"]
    assert INPUT["messages"][0]["content"] == "Hello"


@pytest.mark.parametrize("tokenizer", [WhitespaceTokenizer(), SpacyTokenizer()])
def test_tokens_are_found_in_the_text_that_they_were_made_of(tokenizer: Any) -> None:
    text = "the film was the best"
    texts = {("other",): "the film was bad", ("sentence",): text}
    (item,) = text_items(TextField(tokenizer.tokenize(text)))
    path, spans = trace(item, "tokens", texts)
    assert path == ("sentence",)
    assert [text[slice(*span)] for span in spans if span] == text.split()


def test_lower_case_and_added_tokens() -> None:
    tokens = [Token("@start@"), Token("the"), Token("film"), Token("@end@")]
    (item,) = text_items(TextField(tokens))
    assert trace(item, "tokens", {("sentence",): "The Film"}) == (
        ("sentence",),
        [None, (0, 3), (4, 8), None],
    )


def test_of_equal_texts_that_of_the_same_name() -> None:
    (item,) = text_items(TextField([Token("yes", idx=0)]))
    texts = {("premise",): "yes", ("hypothesis",): "yes"}
    assert trace(item, "hypothesis", texts)[0] == ("hypothesis",)


def test_a_text_that_is_not_in_the_input() -> None:
    (item,) = text_items(TextField([Token("yes", idx=0)]))
    with pytest.raises(LookupError):
        trace(item, "tokens", {("sentence",): "no", ("other",): "not"})
