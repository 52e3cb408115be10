"""Whatever is registered stands on the page of methods."""

from __future__ import annotations

from pathlib import Path

import pytest
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AllenNlpInterpreter

from allennlp_saliency.interpret import SaliencyInterpreter, Target
from allennlp_saliency.interpret.rules import DEEPLIFT_RULES, LRP_RULES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
METHODS = [
    name
    for name in sorted(SaliencyInterpreter.list_available())
    if issubclass(SaliencyInterpreter.by_name(name), SaliencyInterpreter)
    and SaliencyInterpreter.by_name(name).__module__.startswith("allennlp_saliency.")
]


def test_there_are_methods_of_ours_and_of_allennlp() -> None:
    assert "integrated-gradients" in METHODS
    assert len(METHODS) < len(AllenNlpInterpreter.list_available())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_section(name: str) -> None:
    assert any(f"`{name}`" in line for line in PAGE.splitlines() if line.startswith("##"))


@pytest.mark.parametrize("name", sorted(Target.list_available()))
def test_a_target_is_mentioned(name: str) -> None:
    assert f"`{name}`" in PAGE or f'"{name}"' in PAGE


@pytest.mark.parametrize("name", sorted({*LRP_RULES.names, *DEEPLIFT_RULES.names}))
def test_a_rule_is_mentioned(name: str) -> None:
    assert name in PAGE
