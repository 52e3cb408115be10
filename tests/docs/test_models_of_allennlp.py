"""The tables of allennlp-models' predictors list what the tests hold, all of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("allennlp_models")

from tests.zoo.allennlp_models import ARCHIVES, Archives

ROOT = Path(__file__).resolve().parents[2]


def rows(text: str) -> list[list[list[str]]]:
    """The cells of a text's tables, without their heads."""
    tables: list[list[list[str]]] = []
    before = ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            tables[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        before = line
    return [table[2:] for table in tables]


@pytest.fixture
def page() -> list[list[list[str]]]:
    return rows((ROOT / "docs" / "allennlp-models.md").read_text("utf-8"))


@pytest.fixture
def readme() -> list[list[str]]:
    text = (ROOT / "README.md").read_text("utf-8")
    (table,) = rows(text.split("<!-- allennlp-models -->")[1].split("<!-- /allennlp-models -->")[0])
    return table


def test_the_page_has_every_archive(page: list[list[list[str]]]) -> None:
    assert len(page) == 2
    for table in page:
        assert [row[0] for row in table] == list(ARCHIVES)


def test_the_page_says_what_an_explanation_is_of(page: list[list[list[str]]]) -> None:
    assert [row[3] for row in page[0]] == [about.each for about in ARCHIVES.values()]
    for row in page[0]:
        about = ARCHIVES[row[0]]
        if about.predictor is not None:
            assert row[2] == f"`{about.predictor}`"


def test_the_page_has_the_refusals_that_the_tests_know(page: list[list[list[str]]]) -> None:
    for row in page[0]:
        for method in ARCHIVES[row[0]].refused:
            kind = "attention" if "attention" in method or method == "value-zeroing" else method
            assert kind in row[5]


def test_integrated_gradients_are_as_complete_as_promised(page: list[list[list[str]]]) -> None:
    for row in page[1]:
        if ARCHIVES[row[0]].continuous:
            assert float(row[2]) <= 0.01
        else:
            assert row[2].endswith("(jumps)")


def test_the_readme_has_every_predictor_and_model(
    page: list[list[list[str]]], readme: list[list[str]]
) -> None:
    assert [row[0] for row in readme] == list(dict.fromkeys(row[2] for row in page[0]))
    for predictor, models, each, _ in readme:
        of = [row for row in page[0] if row[2] == predictor]
        assert models.split(", ") == list(dict.fromkeys(row[1] for row in of))
        assert each.split("; ") == list(dict.fromkeys(row[3] for row in of))


@pytest.mark.parametrize("name", ["decomposable-attention", "masked-lm"])
def test_the_page_is_what_the_script_measures(
    name: str,
    page: list[list[list[str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "lib"), *sys.path])
    import models_of_allennlp
    import models_of_allennlp_page

    found = [models_of_allennlp.measure(Archives(tmp_path), name)]
    ((row,),) = rows(models_of_allennlp_page.what(found))
    assert row in page[0]
    ((numbers,),) = rows(models_of_allennlp_page.numbers(found))
    (written,) = (row for row in page[1] if row[0] == name)
    assert numbers[:2] == written[:2]
    # What is left is rounding, which differs with the processor.
    assert found[0].number is not None
    assert max(found[0].deltas.values()) < 0.01
    assert found[0].batch < 1e-5
    assert found[0].number < 1e-5


def test_an_error_of_no_known_reason_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs" / "lib"), *sys.path])
    import models_of_allennlp

    line = {"error": {"type": "IndexError", "message": "list index out of range", "line": 1}}
    with pytest.raises(RuntimeError, match="list index out of range"):
        models_of_allennlp._refusal([line])
