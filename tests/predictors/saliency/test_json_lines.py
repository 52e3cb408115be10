"""Lines that are written are JSON, whatever is in them and wherever they go."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from allennlp.data.tokenizers import Token
from hypothesis import given
from hypothesis import strategies as st

from allennlp_saliency.predictors.saliency.json_lines import numbered, to_json_line, to_jsonable


class HasJson:
    def to_json(self) -> dict[str, float]:
        return {"x": float("inf")}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (numpy.float32(0.5), 0.5),
        (numpy.int64(3), 3),
        (numpy.bool_(True), True),
        (numpy.array([[1, 2]]), [[1, 2]]),
        (numpy.array([numpy.nan, 1.0]), [None, 1.0]),
        (torch.tensor([1.5, float("inf")], requires_grad=True), [1.5, None]),
        (torch.tensor(2), 2),
        ((1, float("-inf")), [1, None]),
        ({"b", "a"}, ["a", "b"]),
        ({1: {None: True}}, {"1": {"None": True}}),
        (HasJson(), {"x": None}),
        (Token("word"), "word"),
        (None, None),
        (10**30, 10**30),
    ],
)
def test_everything_has_its_json(value: object, expected: object) -> None:
    found = to_jsonable(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "ascii", "cp1252"])
@pytest.mark.parametrize(
    "text", ["caf\u00e9 \u6f22", "\ud800", "a\u2028b\x85c\x9b2J\x7f", "\x00\n"]
)
def test_a_line_is_one_line_in_every_locale(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str
) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda _=True: encoding)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(encoding="utf-8"))
    line = to_json_line({"text": text, "score": float("nan")})
    assert json.loads(line.encode(encoding).decode("utf-8")) == {"text": text, "score": None}
    assert len(line.splitlines()) == 1
    assert not set(line) & set("\x7f\x85\x9b\u2028")


@pytest.mark.parametrize(("stdout", "readable"), [("utf8", True), ("latin-1", False), (None, True)])
def test_text_is_readable_where_everything_is_utf8(
    monkeypatch: pytest.MonkeyPatch, stdout: str | None, readable: bool
) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda _=True: "UTF-8")
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(encoding=stdout))
    assert ("caf\u00e9" in to_json_line({"text": "caf\u00e9"})) is readable


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_any_object_comes_back(content: dict[str, Any]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = to_json_line(content)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert json.loads(line, parse_constant=refuse) == to_jsonable(content)


def test_lines_are_numbered_as_in_the_file() -> None:
    lines = ["\ufeff\n", "a\n", "\n", " \t\n", "\ufeffb"]
    assert list(numbered(lines)) == [(2, "a\n"), (5, "\ufeffb")]
