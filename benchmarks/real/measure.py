"""Every registered method on the inputs of a model: what comes out, and what it takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import torch
from allennlp.common import Params
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import Explanation, InterpretationError, SaliencyInterpreter
from allennlp_saliency.interpret.methods.layer_methods import AtLayer

from .models import RealModel

# On how many inputs the methods are run that take longest on the language model.
FEWER = {
    "layer-integrated-gradients": 3,
    "discretized-integrated-gradients": 3,
    "one-hot-gradient": 6,
    "smooth-gradients": 6,
    "square-gradients": 6,
    "var-gradients": 6,
    "integrated-hessians": 1,
    "kernel-shap": 3,
    "lime": 3,
    "minimal-sufficient-set": 3,
    "owen": 3,
    "reagent": 3,
    "shapley-sampling": 3,
    "sobol": 3,
}


@dataclass
class Measured:
    """What a method made of the inputs of a model.

    Attributes:
        method: Its registered name.
        params: What it was given besides.
        explanations: One per input.
        seconds: Per input.
        refused: Why there is none; empty where there is.
    """

    method: str
    params: dict[str, Any] = field(default_factory=dict)
    explanations: list[Explanation] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    refused: str = ""

    @property
    def baseline(self) -> str:
        """The type of the baseline that was used; empty for methods without one."""
        given = self.explanations[0].interpreter.get("baseline") if self.explanations else None
        return given["type"] if isinstance(given, dict) else ""

    @property
    def lacking(self) -> list[float]:
        """Per input the convergence delta as a share of what the scores should add up to; empty
        where a method promises no sum."""
        return [
            abs(one.convergence_delta) / abs(due(one))
            for one in self.explanations
            if one.convergence_delta is not None
        ]

    @property
    def points(self) -> list[int]:
        """Per input the points that gradients were evaluated at, where the method says so."""
        return [one.details["steps"] for one in self.explanations if "steps" in one.details]

    def first(self, count: int) -> Measured:
        """The same of the first inputs alone."""
        explanations, seconds = self.explanations[:count], self.seconds[:count]
        return replace(self, explanations=explanations, seconds=seconds)

    @property
    def warned(self) -> int:
        """How many explanations carry a warning."""
        return sum(bool(one.warnings) for one in self.explanations)


def own_methods() -> list[str]:
    """The registered names of this project's methods."""
    names = SaliencyInterpreter.list_available()
    # Inputs here name no context.
    return [
        name
        for name in names
        if issubclass(_class(name), SaliencyInterpreter) and name != "attribute-context"
    ]


def _class(name: str) -> Any:
    return SaliencyInterpreter.by_name(name)


def methods_at(layer: str) -> list[tuple[str, dict[str, Any]]]:
    """Every method with its parameters: a layer for methods of a layer, none for the others.

    Args:
        layer: The layer's dotted name.
    """
    return [
        (name, {"layer": layer} if issubclass(_class(name), AtLayer) else {})
        for name in own_methods()
    ]


def measure_all(model: RealModel) -> list[Measured]:
    """Runs every registered method by default, methods of a layer at a block in the middle.

    Args:
        model: The model and its inputs.
    """
    found = []
    for name, params in methods_at(model.layer):
        some = model.inputs[: FEWER.get(name)] if "prompt" in model.inputs[0] else model.inputs
        found.append(measure(model.predictor, some, name, **params))
        one = found[-1]
        print(f"  {name}: {one.refused or f'{sum(one.seconds):.1f} s'}", flush=True)
    return found


def measure(
    predictor: Predictor, inputs: Sequence[dict[str, str]], name: str, **params: Any
) -> Measured:
    """Runs one method on one input after the other.

    Args:
        predictor: The predictor.
        inputs: What is explained.
        name: The method's registered name.
        params: Its parameters.
    """
    measured = Measured(name, params)
    try:
        method: Any = SaliencyInterpreter.from_params(
            Params({"type": name, **params}), predictor=predictor
        )
        for one in inputs:
            start = time.perf_counter()
            (explanation,) = method.interpret_json(one)
            measured.seconds.append(time.perf_counter() - start)
            measured.explanations.append(explanation)
    except InterpretationError as error:
        measured.refused = str(error)
    return measured


def scores(explanation: Explanation) -> list[float]:
    """The scores of all tokens of an explanation."""
    return [score for one in explanation.inputs for score in one.attributions]


def due(explanation: Explanation) -> float:
    """What the scores should add up to: the difference from the baseline, or the value."""
    target = explanation.target
    return target["value"] - target.get("baseline_value", 0.0)


def rank_correlation(left: Explanation, right: Explanation) -> float:
    """Spearman's rank correlation of the scores of two explanations of one input."""
    ranks = []
    for one in (left, right):
        values = torch.tensor(scores(one), dtype=torch.float64)
        # Ties share the mean of their ranks.
        below = (values[:, None] > values).sum(1).double()
        same = (values[:, None] == values).sum(1).double()
        ranks.append(below + (same - 1) / 2)
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


def typical(numbers: Sequence[float]) -> float:
    """The median, NaN of nothing."""
    return median(numbers) if numbers else float("nan")
