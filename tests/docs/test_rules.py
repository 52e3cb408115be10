"""The table of rules in `docs/methods.md` is that of the maps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from allennlp_saliency.interpret.rules import DEEPLIFT_RULES, LRP_RULES, RuleMap

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"
HINT = "run `python docs/make_methods.py rules`"


def rows() -> list[tuple[list[str], str, str]]:
    """Operations, LRP's rule and DeepLIFT's, as the page has them."""
    _, rest = PAGE.read_text("utf-8").split("<!-- rules -->")
    lines = rest.split("<!-- /rules -->")[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [(re.findall(r"`(\w+)`", names), lrp, deeplift) for names, lrp, deeplift in cells]


@pytest.mark.parametrize(("rules", "column"), [(LRP_RULES, 1), (DEEPLIFT_RULES, 2)])
def test_each_operation_has_its_rules(rules: RuleMap, column: int) -> None:
    shown = {name: row[column] for row in rows() for name in row[0] if row[column]}
    assert shown == dict(rules), HINT
    assert len(shown) > 50
