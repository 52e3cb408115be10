"""The table of rules in `docs/methods.md` is that of the maps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from allennlp_saliency.interpret.rules import DEEPLIFT_RULES, GIM_RULES, LRP_RULES, RuleMap

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"
HINT = "run `python docs/make_methods.py rules`"


def rows() -> list[tuple[list[str], list[str]]]:
    """Operations and the rules of LRP, DeepLIFT and GIM, as the page has them."""
    _, rest = PAGE.read_text("utf-8").split("<!-- rules -->")
    lines = rest.split("<!-- /rules -->")[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [(re.findall(r"`(\w+)`", names), rules) for names, *rules in cells]


@pytest.mark.parametrize(
    ("rules", "column", "least"), [(LRP_RULES, 0, 50), (DEEPLIFT_RULES, 1, 50), (GIM_RULES, 2, 5)]
)
def test_each_operation_has_its_rules(rules: RuleMap, column: int, least: int) -> None:
    shown = {name: given[column] for names, given in rows() for name in names if given[column]}
    assert shown == dict(rules), HINT
    assert len(shown) > least
