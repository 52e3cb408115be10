"""What watches an interpretation sees each forward pass, may end it, and changes no number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from allennlp.predictors import Predictor

import allennlp_saliency.predictors  # noqa: F401  registers them
from allennlp_saliency.interpret import (
    IntegratedGradients,
    LeaveOneOut,
    SaliencyInterpreter,
    ShapleySampling,
)

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
METHODS: dict[str, tuple[type[SaliencyInterpreter], dict[str, Any]]] = {
    "gradients": (IntegratedGradients, {}),
    "values": (LeaveOneOut, {}),
    "black box": (ShapleySampling, {"target": "output", "num_pairs": 2}),
}


class Enough(BaseException):
    """Ends an interpretation."""


@pytest.fixture(params=["topics", "copy-lm"])
def case(request: pytest.FixtureRequest) -> tuple[Predictor, dict[str, Any]]:
    folder = FIXTURES / request.param
    line = (folder / "inputs.jsonl").read_text("utf-8").splitlines()[0]
    return Predictor.from_path(str(folder / "model.tar.gz")), json.loads(line)


@pytest.mark.parametrize("name", METHODS)
def test_it_sees_passes_and_may_end_them(case: tuple[Predictor, Any], name: str) -> None:
    predictor, inputs = case
    method, parameters = METHODS[name]
    if name == "black box" and "prompt" in inputs:
        pytest.skip("a model that writes has no single number in its output")
    passes = 0

    def count() -> None:
        nonlocal passes
        passes += 1

    def end() -> None:
        nonlocal passes
        passes += 1
        if passes == 2:
            raise Enough

    (plain,) = method(predictor, **parameters).interpret_each([inputs])
    interpreter = method(predictor, **parameters)
    (watched,) = interpreter.interpret_each([inputs], watch=count)
    assert plain.error is None
    assert watched.explanations == plain.explanations
    assert passes > 2
    passes = 0
    with pytest.raises(Enough):
        interpreter.interpret_each([inputs, inputs], watch=end)
    assert passes == 2
    # Nothing of it is left, in the interpreter or on the model.
    assert interpreter.interpret_each([inputs])[0].explanations == plain.explanations
    assert passes == 2
    assert not any(module._forward_pre_hooks for module in predictor._model.modules())


class Expecting:
    """Counts passes, and those that are expected to come."""

    def __init__(self) -> None:
        self.passes = 0
        self.expected: list[tuple[int, int]] = []

    def __call__(self) -> None:
        self.passes += 1

    def expect(self, passes: int) -> None:
        """Takes how many passes are to come."""
        self.expected.append((self.passes, passes))


@pytest.mark.parametrize("steps", [3, 24])
@pytest.mark.parametrize("name", ["topics", "sentiment"])
def test_it_is_told_how_many_passes_are_to_come(name: str, steps: int) -> None:
    predictor = Predictor.from_path(FIXTURES / name / "model.tar.gz", import_plugins=False)
    texts = [{"sentence": "the paper wrote about the verdict and the goal."}] * 2
    method = IntegratedGradients(predictor, steps=steps, token_budget=1)
    watch = Expecting()
    assert all(one.error is None for one in method.interpret_each(texts, watch=watch))
    ((before, passes),) = watch.expected
    # One row a pass: a pass for each point of each text; besides, the input and the baseline.
    assert 2 * steps < passes <= watch.passes - before <= 2 * (steps + 4)
