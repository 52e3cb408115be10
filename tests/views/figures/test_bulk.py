"""A picture for each line of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from allennlp_saliency.views.figure import save_figures
from tests.views.explanations import GOOD, written_text
from tests.views.figures.pictures import texts_of
from tests.views.test_lines import FAILED, WHOLE, written

TEXT = {f"instance_{n}": {"explanation": one.to_json()} for n, one in enumerate(written_text(), 1)}


def test_pictures_of_a_file(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", WHOLE, FAILED, TEXT)
    pictures = save_figures(path, tmp_path / "made" / "here", format="svg")
    assert not (tmp_path / "made").exists(), "nothing is drawn before it is asked for"
    first, matrix = pictures
    assert (first.name, matrix.name) == ("line-00001.svg", "line-00003.svg")
    assert "great" in texts_of(first)
    assert "+2.00" in texts_of(matrix)


def test_another_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no format 'gif' of pictures; there are png, svg, pdf"):
        save_figures([], tmp_path, format="gif")


def test_lines_are_taken_too(tmp_path: Path) -> None:
    from allennlp_saliency.views import Line

    lines = [Line(7, {}, None, [GOOD])]
    assert [one.name for one in save_figures(lines, tmp_path)] == ["line-00007.png"]
