"""The examples of CONTRIBUTING.md do what the page says: a method, its test, a target, a rule."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from allennlp.common import Registrable
from allennlp.predictors import Predictor

from allennlp_saliency import interpret
from allennlp_saliency.interpret import (
    Attribution,
    InputXGradient,
    SaliencyInterpreter,
    Target,
)
from allennlp_saliency.interpret.reduction import Sum, reduce_coordinates

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"^ *```python\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
]
METHOD, TEST, TARGET, RULE = BLOCKS
SENTENCE = {"sentence": "the paper wrote about the verdict and the goal."}


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> type[SaliencyInterpreter]:
    """The page's method, as its file and its line in `interpret/__init__.py` make it."""
    for base in (SaliencyInterpreter, Target):
        monkeypatch.setitem(Registrable._registry, base, dict(Registrable._registry[base]))
    path = re.search(r"`(interpret/methods/gradient/\w+)\.py`", PAGE)
    assert path is not None
    module = ModuleType(f"allennlp_saliency.{path[1].replace('/', '.')}")
    module.__package__ = module.__name__.rpartition(".")[0]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(METHOD, str(path[0]), "exec"), module.__dict__)
    monkeypatch.setattr(interpret, "NormProduct", module.NormProduct, raising=False)
    return module.NormProduct


def test_the_method_is_registered_and_passes_its_own_test(
    method: type[SaliencyInterpreter], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SaliencyInterpreter.by_name("norm-product") is method
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(compile(TEST, "test_norm_product.py", "exec"), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    assert callable(test)
    test()


def test_the_method_guarantees_what_the_page_says(method: type[SaliencyInterpreter]) -> None:
    predictor = Predictor.from_path(ROOT / "fixtures/topics/model.tar.gz", import_plugins=False)
    (bounds,) = method(predictor).interpret_json(SENTENCE)
    (products,) = InputXGradient(predictor).interpret_json(SENTENCE)
    pairs = list(zip(bounds.inputs[0].attributions, products.inputs[0].attributions, strict=True))
    assert len(pairs) == 10
    assert all(bound >= abs(product) for bound, product in pairs)


def test_gradients_at_other_points_are_asked_for_as_the_page_says() -> None:
    found = re.search(r"^ *```\n( *points, rows = .*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    loop = textwrap.dedent(found[1])

    class Halfway(SaliencyInterpreter):
        def attribute(self, space: Any) -> Attribution:
            names: dict[str, Any] = {"space": space, "torch": torch}
            exec(loop, names)
            expected = space.input_gradients
            assert names["halfway"].shape == expected.shape
            assert not torch.equal(names["halfway"], expected)
            exec(loop.replace("0.5 *", "1.0 *"), names)
            torch.testing.assert_close(names["halfway"], expected)
            return Attribution(reduce_coordinates(expected, space.layout, Sum()))

    predictor = Predictor.from_path(ROOT / "fixtures/topics/model.tar.gz", import_plugins=False)
    assert len(Halfway(predictor).interpret_json(SENTENCE)) == 1


def test_the_target_is_one_for_configs(method: type[SaliencyInterpreter]) -> None:
    exec(compile(TARGET, "CONTRIBUTING.md", "exec"), {})
    predictor = Predictor.from_path(ROOT / "fixtures/topics/model.tar.gz", import_plugins=False)
    (explanation,) = InputXGradient(predictor, target="runner-up-margin").interpret_json(SENTENCE)
    logits = sorted(predictor.predict_json(SENTENCE)["logits"])
    assert explanation.target["value"] == pytest.approx(logits[-1] - logits[-2], rel=1e-5)


def test_the_rule_gives_what_was_worked_out_by_hand() -> None:
    assert "assert explanation" in RULE
    exec(compile(RULE, "CONTRIBUTING.md", "exec"), {})
