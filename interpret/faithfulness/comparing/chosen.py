"""What is compared: methods, metrics and removals by their names, and the settings of a job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from ...explanation import JsonDict
from ...interpreter.named import interpreter_of
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...registry import construct
from ..measuring import Rationale
from ..metric import Metric
from .conclusion import CHANCE

Given = str | Mapping[str, Any]
"""A registered name, or the parameters with the name as `type`."""

_MOST_TOLD = 60


def methods_of(
    predictor: Predictor, interpreters: Sequence[Given | SaliencyInterpreter]
) -> dict[str, SaliencyInterpreter]:
    """The interpreters by the names that they have in tables, `random` among them.

    Args:
        predictor: Their predictor.
        interpreters: Names, params dicts, or interpreters of it.

    Raises:
        ConfigurationError: If a name is none, or an interpreter gives no explanations.
    """
    found: dict[str, SaliencyInterpreter] = {}
    for one in [*interpreters, CHANCE]:
        if isinstance(one, SaliencyInterpreter):
            method, name = one, str(one.config()["type"])
        else:
            # What does not fit the model is left out after a trial, and costs the others nothing.
            made = interpreter_of(one, predictor, check=False)
            name = one if isinstance(one, str) else str(one["type"])
            if not isinstance(made, SaliencyInterpreter):
                raise ConfigurationError(
                    f"{name!r} gives scores without the tokens that they belong to, so it cannot "
                    "be compared; take an interpreter of allennlp_saliency"
                )
            method = made
        if name == CHANCE and CHANCE in found:
            continue
        found[name if name not in found else f"{name} {len(found) + 1}"] = method
    return found


def _digest(values: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(values), sort_keys=True).encode()).hexdigest()


def described(
    predictor: Predictor,
    methods: Mapping[str, SaliencyInterpreter],
    inputs: Sequence[JsonDict],
    rationales: Sequence[Rationale | Sequence[Rationale]],
) -> JsonDict:
    """What is compared, for the folder's settings: the model with its weights, the methods and the
    inputs.

    Args:
        predictor: The predictor.
        methods: By name.
        inputs: What its `predict_json` takes.
        rationales: None, or one for each input.

    Raises:
        ConfigurationError: If there are rationales, but not one for each input.
    """
    if rationales and len(rationales) != len(inputs):
        raise ConfigurationError(f"{len(rationales)} rationales for {len(inputs)} inputs")
    weights = [
        (name, list(one.shape), float(one.detach().double().sum()))
        for name, one in predictor._model.named_parameters()
    ]
    return {
        "model": f"{type(predictor._model).__name__} {_digest(weights)}",
        "interpreters": {name: method.config() for name, method in methods.items()},
        "targets": {name: method.target.title for name, method in methods.items()},
        "inputs": _digest(inputs),
        "rationales": _digest(rationales),
    }


def metric_of(one: Given) -> Metric:
    """The metric of a name or of params."""
    found: Metric = construct(Metric, one if isinstance(one, str) else dict(one))
    return found


def params_of(one: Given) -> JsonDict:
    """The params that a name stands for."""
    return {"type": one} if isinstance(one, str) else dict(one)


def name_of(one: Given) -> str:
    """The name in tables: the registered one, with its params behind it."""
    params = params_of(one)
    rest = ", ".join(_told(key, value) for key, value in params.items() if key != "type")
    return f"{params.get('type')} ({rest})" if rest else str(params.get("type"))


def _told(key: str, value: Any) -> str:
    """A parameter in a name; of many texts it tells how many, and which by their digest."""
    if isinstance(value, list) and len(str(value)) > _MOST_TOLD:
        return f"{len(value)} {key} {_digest(value)[:6]}"
    return f"{key} {value}"
