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


def sections(page: str) -> dict[str, str]:
    """The sections of a page that are called by a registered name."""
    parts = re.split(r"^## ", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE)
    heads = ((re.match(r"`([\w-]+)`\n", part), part) for part in parts)
    return {head[1]: part for head, part in heads if head}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_section(name: str) -> None:
    section = sections("methods.md")[name]
    assert re.match(rf"`{name}`\n\n    \S", section), "the equation comes first"
    assert f"- **Class**: `{SaliencyInterpreter.by_name(name).__name__}`." in section
    for part in ("Guarantees", "Costs") if name == "random" else ("Guarantees", "Costs", "Source"):
        assert f"- **{part}**: " in section
    picture = DOCS / "pictures" / f"{name}.svg"
    assert f"![{name}](pictures/{name}.svg)" in section
    assert picture.is_file(), "run `python docs/make_methods.py pictures`"


def test_no_section_is_of_a_method_that_there_is_not() -> None:
    assert sorted(sections("methods.md")) == METHODS


def test_the_readme_names_every_method() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    named = text.split("## Methods\n")[1].split("\n## ")[0]
    assert [name for name in METHODS if f"`{name}`" not in named] == []


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
