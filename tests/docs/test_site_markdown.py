"""What GitHub reads and Python-Markdown does not is put in the latter's words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "lib"))

from site_markdown import as_python_markdown, class_titles, github_slug, outside_code
from site_notebook import NotebookPage


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        # As github.com has them.
        ("… try a model in the browser", "-try-a-model-in-the-browser"),
        ("A rule of one's own", "a-rule-of-ones-own"),
        ("`lrp` (`LayerwiseRelevancePropagation`)", "lrp-layerwiserelevancepropagation"),
        (
            "Comprehensiveness, units deleted (`ner`, `qa`: replaced)",
            "comprehensiveness-units-deleted-ner-qa-replaced",
        ),
        ("GIM's rules & more", "gims-rules--more"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str) -> None:
    assert github_slug(heading) == anchor


def test_lists_are_indented_by_four() -> None:
    written = """Intro:
- one
  goes on

  ```python
  if a:
      - b
  ```
- two
  1. inner

     text
that goes on

Then text."""
    wanted = """Intro:

- one
    goes on

    ```python
    if a:
        - b
    ```
- two
    1. inner

        text
        that goes on

Then text."""
    assert as_python_markdown(written) == wanted


def test_code_stays_as_it_is() -> None:
    written = "before\n\n    - indented code\n\n```\n- a\n  - b\n```\n- item\n\n      code in it"
    wanted = "before\n\n    - indented code\n\n```\n- a\n  - b\n```\n\n- item\n\n        code in it"
    assert as_python_markdown(written) == wanted


def test_fences_are_left_alone() -> None:
    found = outside_code("a\n```\na\n```\n~~~\na ```\n~~~\na", str.upper)
    assert found == "A\n```\na\n```\n~~~\na ```\n~~~\nA"


def test_names_of_methods_have_their_classes() -> None:
    html = (
        "<h2><code>lime</code></h2><p><code>lime</code> <code>other</code></p>"
        "<pre><code>lime</code></pre>"
    )
    assert class_titles(html, {"lime": "Lime"}) == html.replace(
        "<p><code>lime", '<p><code title="Lime">lime'
    )


def test_a_notebook_is_a_page(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "text"]},
        {
            "cell_type": "code",
            "source": ["1 + 1"],
            "outputs": [
                {"data": {"text/html": ["<b>2</b>\n\n<i>!</i>"], "text/plain": ["2"]}},
                {"text": ["<2>"]},
            ],
        },
    ]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    page = NotebookPage(path)
    assert page.markdown() == "# A\ntext\n\n```python\n1 + 1\n```\n\noutputs-of-cell-1\n"
    assert page.with_outputs("<p>outputs-of-cell-1</p>") == (
        '<div class="nb-output"><b>2</b>\n\n<i>!</i></div>'
        '<div class="nb-output"><pre><code>&lt;2&gt;</code></pre></div>'
    )
