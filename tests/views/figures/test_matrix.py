"""Matrices as pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from allennlp_saliency.views.figure import save_agreement, save_matrix
from tests.views.explanations import GOOD, field, written_text
from tests.views.figures.pictures import texts_of

RECORDS = [
    {"input": 0, "removal": "mask", "agreement": {"a|b": {"rank": 0.5, "top": 1.0}}},
    {"input": 0, "removal": "mean", "agreement": {"a|b": {"rank": -9.0, "top": -9.0}}},
    {"input": 1, "removal": "mask", "agreement": {"a|b": {"rank": 0.25, "top": None}}},
    {"input": 2, "removal": "mask", "error": "no"},
]


def test_every_number_of_a_written_text(tmp_path: Path) -> None:
    save_matrix(written_text(), tmp_path / "x.svg")
    texts = texts_of(tmp_path / "x.svg")
    for name in ("source", "generated", "un", "bon", "a", "good", "film"):
        assert name in texts
    numbers = [text for text in texts if text[-1].isdigit()]
    source = ["+1.00", "+0.25", "0.00", "0.00", "+2.00", "-0.50", "0.00", "+0.50", "+1.50"]
    assert numbers == [*source, "+0.12", "+0.12", "+0.12"]


def test_fields_and_numbers_may_be_left_out(tmp_path: Path) -> None:
    save_matrix(written_text(), tmp_path / "x.svg", fields=["source"], numbers=False)
    assert {*texts_of(tmp_path / "x.svg")} == {"source", "un", "bon", "film", "a", "good"}
    with pytest.raises(ValueError, match="no field 'wrong'; there are source, generated"):
        save_matrix(written_text(), tmp_path / "x.svg", fields=["wrong"])


def test_large_matrices_are_colours(tmp_path: Path) -> None:
    words = ["word"] * 300
    long = [
        replace(one, inputs=[one.inputs[0], field(" ".join(words), words, [0.1] * 300)])
        for one in written_text()
    ]
    save_matrix(long, tmp_path / "x.svg", fields=["source"])
    assert not any(text[-1].isdigit() for text in texts_of(tmp_path / "x.svg"))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="draw them with save_figure"):
        save_matrix([GOOD, GOOD], tmp_path / "x.svg")


def test_the_same_matrix_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("x.svg", "y.svg"):
        save_matrix(written_text(), tmp_path / name)
    assert (tmp_path / "x.svg").read_bytes() == (tmp_path / "y.svg").read_bytes()


@pytest.mark.parametrize(("what", "value"), [("rank", "0.38"), ("top", "1.00")])
def test_agreement_is_the_mean_over_inputs(what: str, value: str, tmp_path: Path) -> None:
    save_agreement(RECORDS, tmp_path / "x.svg", what)
    texts = texts_of(tmp_path / "x.svg")
    assert [text for text in texts if text[0].isdigit()] == ["1.00", value, value, "1.00"]


def test_agreement_of_a_mapping(tmp_path: Path) -> None:
    save_agreement({"b|a": -0.5, "a|c": 0.25}, tmp_path / "x.svg")
    texts = texts_of(tmp_path / "x.svg")
    assert texts.count("-0.50") == texts.count("0.25") == 2, "b and c have none"
    with pytest.raises(ValueError, match="compare two or more"):
        save_agreement([], tmp_path / "x.svg")
