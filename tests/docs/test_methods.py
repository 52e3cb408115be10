"""Every registered method stands in `docs/methods.md` as the others do, and in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.interpret.faithfulness import Metric

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
METHODS = sorted(
    name
    for name in SaliencyInterpreter.list_available()
    if issubclass(SaliencyInterpreter.by_name(name), SaliencyInterpreter)
)


CLASSES = {name: SaliencyInterpreter.by_name(name).__name__ for name in METHODS}
HINT = "run `python docs/make_methods.py names`"


def sections(page: str) -> dict[str, str]:
    """The sections of a page that are called by a registered name."""
    parts = re.split(r"^## ", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE)
    heads = ((re.match(r"`([\w-]+)`(?: \(`\w+`\))?\n", part), part) for part in parts)
    return {head[1]: part for head, part in heads if head}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_section(name: str) -> None:
    section = sections("methods.md")[name]
    named = SaliencyInterpreter.by_name(name).__name__
    assert section.startswith(f"`{name}` (`{named}`)\n"), HINT
    assert re.match(r".*\n\n    \S", section), "the equation comes first"
    assert f"- **Class**: `{named}`." in section
    for part in ("Guarantees", "Costs") if name == "random" else ("Guarantees", "Costs", "Source"):
        assert f"- **{part}**: " in section
    picture = DOCS / "pictures" / f"{name}.svg"
    assert f"![{name}](pictures/{name}.svg)" in section
    assert picture.is_file(), "run `python docs/make_methods.py pictures`"


def test_no_section_is_of_a_method_that_there_is_not() -> None:
    assert sorted(sections("methods.md")) == METHODS


def test_the_readme_has_both_names_of_every_method() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    named = text.split("<!-- methods -->")[1].split("<!-- /methods -->")[0]
    assert dict(re.findall(r"`([\w-]+)` \(`(\w+)`\)", named)) == CLASSES, HINT


def test_the_page_begins_with_both_names_of_every_method() -> None:
    page = (DOCS / "methods.md").read_text("utf-8")
    table = page.split("<!-- names -->")[1].split("<!-- /names -->")[0]
    rows = re.findall(r"\| \[`([\w-]+)`\]\(#([\w-]+)\) \| `(\w+)` \|", table)
    assert {name: named for name, _, named in rows} == CLASSES, HINT
    # GitHub's anchors of the headings.
    assert all(anchor == f"{name}-{named.lower()}" for name, anchor, named in rows)


def test_every_method_is_measured() -> None:
    page = (DOCS / "methods.md").read_text("utf-8")
    table = page.split("<!-- rationales -->")[1].split("<!-- /rationales -->")[0]
    measured = set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE))
    assert measured == set(METHODS) - {"attribute-context"}


@pytest.mark.parametrize("name", sorted(Metric.list_available()))
def test_a_metric_has_a_section(name: str) -> None:
    section = sections("faithfulness.md")[name]
    metric = Metric.by_name(name)
    assert re.match(rf"`{name}`\n\n    \S", section), "the equation comes first"
    assert f"- **Class**: `{metric.__name__}`." in section
    better = "higher" if metric.higher_is_better else "lower"
    assert f"- **Better**: {better}" in section
    for part in ("Removal", "Pitfall", "Source"):
        assert f"- **{part}**: " in section


def test_no_section_is_of_a_metric_that_there_is_not() -> None:
    assert sorted(sections("faithfulness.md")) == sorted(Metric.list_available())
