"""Every method with every model: what the tests of properties that hold for all of them share."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    Explanation,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.methods.attention.attention_interpreter import AttentionInterpreter
from tests.zoo import FAMILIES, Zoo

# Its inputs name a context; tests/interpret/methods/test_attribute_context.py has its cases.
OF_CONTEXTS = frozenset({"attribute-context"})
METHODS = sorted(
    name
    for name in SaliencyInterpreter.list_available()
    if issubclass(SaliencyInterpreter.by_name(name), SaliencyInterpreter)
    and name not in OF_CONTEXTS
)
# Few points, so that tests are quick; enough for complete methods to be complete.
SETTINGS: dict[str, dict[str, Any]] = {
    "integrated-gradients": {"steps": 24},
    "sequential-integrated-gradients": {"steps": 6},
    "smooth-gradients": {"num_samples": 3},
    "context-cite": {"num_ablations": 8, "resamples": 4},
    "integrated-hessians": {"relative_tolerance": 0.05},
    "kernel-shap": {"num_samples": 32, "exact_units": 3},
    "lime": {"num_samples": 16},
    "noise-tunnel": {"num_samples": 3},
    "minimal-sufficient-set": {"stride": 8},
    "owen": {"max_evaluations": 24},
    "pair-interactions": {"best": 3},
    "reagent": {"steps": 8},
    "shapley-sampling": {"num_pairs": 2},
    "sobol": {"num_designs": 2},
}
# The methods that most people use see every kind of model; the others a choice of them.
COMMON = (
    "gradient",
    "gradient-norm",
    "input-x-gradient",
    "integrated-gradients",
    "random",
    "smooth-gradients",
)
SOME_FAMILIES = ("lstm", "pair", "bert-mismatched", "bert-tagger")
MORE_FAMILIES = (*SOME_FAMILIES, "bert", "gpt2", "bert-and-words")
SOME_METHODS = ("gradient", "integrated-gradients", "smooth-gradients")
# Methods that look inside a transformer say nothing of models that have none.
OF_TRANSFORMERS = frozenset(
    name for name in METHODS if issubclass(SaliencyInterpreter.by_name(name), AttentionInterpreter)
)
NO_TRANSFORMERS = frozenset({"lstm", "boe", "cnn", "pair", "lstm-tagger"})


def applies(method: str, family: str) -> bool:
    return method not in OF_TRANSFORMERS or family not in NO_TRANSFORMERS


def plain(method: str) -> str:
    """The simplest family that a method applies to."""
    return "lstm" if applies(method, "lstm") else "bert"


def _cases() -> list[Any]:
    quick = {(method, family) for method in METHODS for family in SOME_FAMILIES}
    quick |= {(method, family) for method in COMMON for family in MORE_FAMILIES}
    quick |= {(method, family) for method in SOME_METHODS for family in FAMILIES}
    # A quarter of a minute; the other families are quick.
    quick -= {("integrated-hessians", "lstm")}
    every = [(m, f) for m in METHODS for f in FAMILIES if applies(m, f)]
    slow = [pytest.mark.slow]
    return [pytest.param(*case, marks=[] if case in quick else slow) for case in every]


each_case = pytest.mark.parametrize(("method", "family"), _cases())
each_method = pytest.mark.parametrize("method", METHODS)


def make(method: str, predictor: Predictor, **settings: Any) -> SaliencyInterpreter:
    made = SaliencyInterpreter.by_name(method)(
        predictor, **{**SETTINGS.get(method, {}), **settings}
    )
    assert isinstance(made, SaliencyInterpreter)
    return made


# The gradients along T5's path cancel: here float32 scores lie up to 1.6e-4 from those in float64,
# whatever the batch. In one run of the suite a batch and its inputs alone were 8e-6 apart; run
# by itself the test finds no difference, and why that run did is not known.
ROUNDING = {
    ("layer-integrated-gradients", "t5"): 5e-5,
    # Second derivatives in float32; in float64 the same to 1e-13.
    ("integrated-hessians", "gemma"): 1e-4,
    # An index is a share of the variance of the values, a difference of almost equal numbers here.
    ("sobol", "pair-bert"): 1e-4,
    ("sobol", "deberta-v2"): 1e-4,
}
_INTERPRETED: dict[tuple[int, str, str], list[list[Explanation]]] = {}


def interpreted(zoo: Zoo, method: str, family: str) -> list[list[Explanation]]:
    """What a method says of the inputs of a family, all at once; asked once a session."""
    key = (id(zoo), method, family)
    if key not in _INTERPRETED:
        interpreter = make(method, zoo.predictor(family))
        _INTERPRETED[key] = interpreter.interpret_batch_json(zoo.inputs(family))
    return _INTERPRETED[key]


def numbers(explanations: list[Explanation]) -> list[float]:
    """All scores, one after the other."""
    return [
        number
        for explanation in explanations
        for one in explanation.inputs
        for number in (*one.attributions, one.unassigned)
    ]


def flat(results: list[list[Explanation]]) -> list[float]:
    return [number for explanations in results for number in numbers(explanations)]


def close(left: list[float], right: list[float], tolerance: float = 1e-5) -> bool:
    scale = max(1.0, *map(abs, right)) if right else 1.0
    same_length = len(left) == len(right)
    return same_length and bool(np.allclose(left, right, rtol=0, atol=tolerance * scale))


def parameters_of(cls: type) -> list[str]:
    """The constructor's parameters, those that it hands on to its base classes included."""
    found: list[str] = []
    for parent in cls.__mro__:
        if "__init__" in vars(parent):
            own = inspect.signature(vars(parent)["__init__"]).parameters
            found += [name for name in own if name not in ("self", "common", *found)]
    return found


def is_seeded(method: str) -> bool:
    return "seed" in parameters_of(SaliencyInterpreter.by_name(method))


def same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
