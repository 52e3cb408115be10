"""Every parameter of every registered class refuses what it is not for, at once and by its name."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from allennlp.common import Params, Registrable
from allennlp.common.checks import ConfigurationError
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter

import allennlp_saliency.predictors.transformers  # noqa: F401  registers targets of its own
from allennlp_saliency.interpret import Baseline, SaliencyInterpreter, Target, checks
from allennlp_saliency.interpret.reduction import Aggregation, Normalization, Reduction
from allennlp_saliency.interpret.registry import _parameters, construct

# What no parameter of any class is for.
NOTHING = [2.5j, b"bytes", object()]
# Beside it, what a parameter is not for whose annotation allows the type on the left alone.
WRONG: dict[str, list[Any]] = {
    "int": ["x", "3", 2.5, True, float("nan"), [3], {"a": 1}, 2**70 * 1.0],
    "float": ["x", "0.5", True, 10**400, float("nan"), float("inf"), -float("inf"), [0.5], {}],
    "bool": ["no", "true", 0, 1, 1.0, [True], {}],
    "str": [3, 1.0, True, ["zero"], {"a": 1}],
}
# Integers and numbers that are too large or too small wherever the name is.
RANGES = {
    "seed": [2**70, -(2**70)],
    "steps": [0, -3],
    "max_steps": [0],
    "num_samples": [0, -1],
    "stdev": [-0.1],
    "epsilon": [-1e-9],
    "tolerance": [0.0, -1.0],
    "relative_tolerance": [0],
    "token_budget": [0, -5],
    "segments": [0],
    "factor": [0],
    "neighbours": [0],
    "threshold": [-0.5],
    "residual": [-0.1, 1.5],
    "start": [-1],
    "end": [-1],
}
NEEDED: dict[str, dict[str, Any]] = {
    "contrast": {"against": "b"},
    "logit-difference": {"against": "b"},
    "probability-difference": {"against": "b"},
    "token": {"token": "a"},
    "text": {"text": "a"},
    "average": {"baselines": ["zero"]},
    "samples": {"texts": ["a text"]},
}
BASES = (SaliencyInterpreter, Target, Baseline, Aggregation, Normalization, Reduction)


def own(base: type[Registrable]) -> list[str]:
    """Names of the registered classes that are this package's."""
    return [
        name
        for name in base.list_available()
        if base.by_name(name).__module__.startswith("allennlp_saliency.")
    ]


def annotation(cls: type, parameter: str) -> str:
    for parent in cls.__mro__:
        signature = inspect.signature(parent.__init__)  # type: ignore[misc]
        if "__init__" in vars(parent) and parameter in signature.parameters:
            return str(signature.parameters[parameter].annotation)
    raise AssertionError(parameter)


def cases() -> list[Any]:
    found = []
    for base in BASES:
        for name in own(base):
            cls = base.by_name(name)
            for parameter in _parameters(cls):
                if parameter not in ("predictor", "common", "args", "kwargs"):
                    found.append(pytest.param(base, name, parameter, id=f"{name}-{parameter}"))
    return found


def wrong_values(cls: type, parameter: str) -> list[Any]:
    kinds = [kind.strip() for kind in annotation(cls, parameter).split("|")]
    values = [*NOTHING, *RANGES.get(parameter, [])]
    plain = [kind for kind in kinds if kind in WRONG]
    if plain and all(kind in (*WRONG, "None") for kind in kinds):
        of_all = [WRONG[kind] for kind in plain]
        values += [one for one in of_all[0] if all(one in others for others in of_all[1:])]
        values += [] if "None" in kinds else [None]
    return values


def make(base: type[Registrable], settings: dict[str, Any]) -> object:
    if base is SaliencyInterpreter:
        # As a predictor of a model that writes; no other is asked for anything before it is used.
        predictor = SimpleNamespace(text_key="prompt", changed_key="changed")
        return AnyInterpreter.from_params(Params(dict(settings)), predictor=predictor)
    return construct(base, settings)


@pytest.mark.parametrize(("base", "name", "parameter"), cases())
def test_a_wrong_value_is_refused_by_the_parameters_name(
    base: type[Registrable], name: str, parameter: str
) -> None:
    needed = NEEDED.get(name, {})
    make(base, {"type": name, **needed})
    for value in wrong_values(base.by_name(name), parameter):
        with pytest.raises(ConfigurationError) as caught:
            make(base, {"type": name, **needed, parameter: value})
        # `baseline` and `baselines`: a list of the one is what the other is called.
        if parameter == "of":
            assert str(caught.value).startswith(("of is ", "'of': ")), value
        else:
            assert parameter.removesuffix("s") in str(caught.value), value


def test_every_parameter_of_a_constructor_is_a_case() -> None:
    covered = {tuple(case.values) for case in cases()}
    for base in BASES:
        assert own(base), base
        for name in own(base):
            for parameter in inspect.signature(base.by_name(name)).parameters.values():
                named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
                if named and parameter.name != "predictor":
                    assert (base, name, parameter.name) in covered


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
def test_numbers_of_numpys_are_numbers(kind: str) -> None:
    found = checks.integer("steps", numpy.dtype(kind).type(7), least=1)
    assert (found, type(found)) == (7, int)
    assert type(checks.number("stdev", numpy.float32(0.5))) is float
    assert checks.boolean("frozen", numpy.bool_(True)) is True


@pytest.mark.parametrize("seed", [-(2**63), -1, 0, 2**64 - 1])
def test_every_seed_of_torchs_is_one(seed: int) -> None:
    import torch

    torch.Generator().manual_seed(checks.seed("seed", seed))


def test_the_message_says_what_is_taken() -> None:
    with pytest.raises(ConfigurationError) as caught:
        checks.integer("steps", 2.5, least=1)
    assert str(caught.value) == "steps is an integer of at least 1, not 2.5 of type float"
    with pytest.raises(ConfigurationError, match=r"^share is a finite number from 0 to 1, not 2 "):
        checks.number("share", 2, least=0, most=1)
    with pytest.raises(ConfigurationError, match=r"^rule is 'left' or 'right', not 'up' of type"):
        checks.choice("rule", "up", ("left", "right"))
