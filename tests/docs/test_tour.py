"""The tour runs from beginning to end, and shows heat maps; the one in the docs is the same."""

from __future__ import annotations

import sys
from importlib.metadata import files
from pathlib import Path
from types import ModuleType

import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install 'allennlp-saliency[notebook]'")
pytest.importorskip("nbconvert", reason="pip install 'allennlp-saliency[notebook]'")
pytest.importorskip("ipykernel", reason="pip install 'allennlp-saliency[notebook]'")

ROOT = Path(__file__).resolve().parents[2]
HEAT = "background:rgba("
SECTIONS = (
    *("A classifier", "A pair of texts", "Named entities", "Questions and answers"),
    *("A translation", "A prompt with its context"),
)


@pytest.fixture
def make_tour(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs"), *sys.path])
    import make_tour

    return make_tour


def written() -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "docs" / "tour.ipynb", 4)


def pages(tour: nbformat.NotebookNode) -> dict[str, str]:
    """By the heading of each section the HTML of its outputs."""
    found: dict[str, str] = {}
    heading = ""
    for cell in tour.cells:
        if cell.cell_type == "markdown":
            own = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = own[0].lstrip("# ") if own else heading
            continue
        for output in cell.outputs:
            assert output.output_type != "error", output
            assert output.get("name") != "stderr", output
            html = output.get("data", {}).get("text/html", "")
            found[heading] = found.get(heading, "") + html
    return found


def check(tour: nbformat.NotebookNode) -> None:
    """Every section has a heat map, and those of written texts a matrix."""
    shown = pages(tour)
    for section in SECTIONS:
        assert HEAT in shown[section], section
    for section in SECTIONS[-2:]:
        assert "<table" in shown[section]
    assert str(ROOT) not in nbformat.writes(tour)
    assert str(Path.home()) not in nbformat.writes(tour)


def test_the_tour_in_the_docs_is_that_of_the_script(make_tour: ModuleType) -> None:
    tour, plain = written(), make_tour.notebook()
    hint = "run `python docs/make_tour.py`"
    assert [(one.id, one.source) for one in tour.cells] == [
        (one.id, one.source) for one in plain.cells
    ], hint
    assert tour.metadata == plain.metadata
    nbformat.validate(tour)


def test_the_tour_in_the_docs_has_heat_maps() -> None:
    check(written())


@pytest.mark.slow
def test_the_tour_runs_and_is_a_page(
    make_tour: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbconvert import HTMLExporter

    tour = make_tour.executed()
    check(tour)
    # The numbers are those in the docs, but for the last digits of another processor.
    assert [*pages(tour)] == [*pages(written())]
    # Wherever nbconvert is installed: its templates need not lie beside this Python.
    template = "share/jupyter/nbconvert/templates/lab/index.html.j2"
    (found,) = (one.locate() for one in files("nbconvert") or () if str(one).endswith(template))
    monkeypatch.setenv("JUPYTER_PATH", str(Path(str(found)).resolve().parents[3]))
    page, _ = HTMLExporter().from_notebook_node(tour)
    assert page.count(HEAT) == sum(html.count(HEAT) for html in pages(tour).values())
    assert page.count(HEAT) > 50
