"""What is said of a name that is not known."""

from __future__ import annotations

import pytest

from allennlp_saliency.interpret.errors import close_names

MANY = [f"word-{number}" for number in range(3000)]


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("rose", ["rosa", "nose"], "did you mean 'rosa' or 'nose'?"),
        ("positiv", ["neutral", "positive"], "did you mean 'positive'?"),
        ("LABEL_1 ", ["LABEL_0", "label_1"], "did you mean 'label_1'?"),
        ("positive", ["POSITIVE", "Positive"], "did you mean 'POSITIVE' or 'Positive'?"),
        ("x", ["b", "a"], "there are: 'a', 'b'"),
        ("x", list("fedcba"), "there are 6, the first: 'f', 'e', 'd', 'c', 'b'"),
        ("film", [], ""),
    ],
)
def test_close_names(name: str, known: list[str], said: str) -> None:
    assert close_names(name, known) == said


def test_there_are_never_many() -> None:
    assert close_names("word-1234x", MANY).count("'") == 2 * 5
    assert close_names("qqq", MANY).startswith("there are 3,000, the first: 'word-0', ")
