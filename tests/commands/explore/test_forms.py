"""The forms of methods say what their constructors take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter

import allennlp_saliency.plugin  # noqa: F401
from allennlp_saliency.commands.explore.forms import (
    BASES,
    arguments,
    form,
    methods,
    named,
    names_a_file,
    parameters,
)
from allennlp_saliency.interpret import IntegratedGradients
from allennlp_saliency.interpret.registry import _parameters


class Odd:
    """Says what it is.

    More of it.

    Args:
        first: What it is for: "one" or "two",
            and more of that.
        corpus: Where it is read from.

    Raises:
        ValueError: Never.
    """

    def __init__(self, first: str, corpus: Path | None = None, weight: float = 0.5) -> None:
        raise NotImplementedError


def test_a_form_is_that_of_the_constructor_and_the_docstring() -> None:
    found = form("odd", Odd)
    assert (found.class_name, found.family, found.summary) == ("Odd", "other", "Says what it is.")
    first, _, weight = found.parameters
    assert (first.kind, first.required, first.choices) == ("text", True, ("one", "two"))
    assert first.doc == 'What it is for: "one" or "two", and more of that.'
    assert (weight.kind, weight.default, weight.doc) == ("number", 0.5, "")
    assert names_a_file(Odd, "corpus")
    assert not names_a_file(Odd, "first")


def test_integrated_gradients() -> None:
    found = {one.name: one for one in parameters(IntegratedGradients)}
    assert found["steps"].kind == "integer"
    assert found["max_steps"].default == 1024
    assert found["rule"].choices[:2] == ("gauss-legendre", "boole")
    assert (found["target"].kind, found["baseline"].kind) == ("target", "baseline")
    assert found["baseline"].doc.startswith("What stands for an absent word")
    assert found["normalization"].advanced


@pytest.mark.parametrize("name", sorted(AnyInterpreter.list_available()))
def test_a_form_has_every_parameter_with_what_it_means(name: str) -> None:
    cls: Any = AnyInterpreter.by_name(name)
    (own,) = [one for one in methods() if one.name == name]
    wanted = {one for one in _parameters(cls) if one not in ("predictor", "common")}
    if "removal" in wanted:
        wanted.remove("baseline")
    assert {one.name for one in own.parameters} == wanted
    if own.family != "other":
        assert all(one.doc for one in own.parameters), own
    files = [one for one in wanted if names_a_file(cls, one)]
    assert files == (["matrices"] if "matrices" in wanted else [])


def test_what_a_parameter_may_name() -> None:
    found = named()
    assert set(found) == set(BASES)
    assert {"logit", "contrast"} <= {one.name for one in found["target"]}
    assert {"delete", "mask", "zero"} <= {one.name for one in found["removal"]}
    (contrast,) = [one for one in found["target"] if one.name == "contrast"]
    assert [(one.name, one.kind) for one in contrast.parameters if one.required] == [
        ("against", "label")
    ]


def test_a_docstring_without_arguments() -> None:
    assert arguments("Nothing to say.") == {}
