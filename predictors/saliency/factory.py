"""The predictor and the interpreter that a config names."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.common.from_params import infer_params
from allennlp.data import DatasetReader
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import JsonDict

_ELSEWHERE = {
    "saliency": "gradient",
    "smoothgrad": "smooth-gradients",
    "vargrad": "var-gradients",
    "n_steps": "steps",
    "n_samples": "num_samples",
    "nt_samples": "num_samples",
    "internal_batch_size": "token_budget",
}
"""The names that other libraries (captum, inseq) use, with ours."""


def wrapped(
    model: Model,
    dataset_reader: DatasetReader,
    name: str | None,
    arguments: JsonDict | None,
    frozen: bool,
    own_name: str,
) -> Predictor:
    """The predictor to interpret, made as `Predictor.from_archive` makes it.

    Args:
        model: The model.
        dataset_reader: What makes the instances.
        name: The predictor's registered name, None for the one that the model's class names.
        arguments: What its constructor takes besides.
        frozen: Whether to put the model into evaluation mode.
        own_name: The registered name of the calling predictor, which cannot interpret itself.

    Raises:
        ConfigurationError: If there is no such predictor, or it cannot be made.
    """
    available = [known for known in Predictor.list_available() if known != own_name]
    if name is None:
        name = model.default_predictor
        if name is None:
            raise ConfigurationError(
                f"{type(model).__name__} names no default predictor; name the one to interpret in "
                f'the predictor\'s arguments, {{"predictor": "…"}}: {_listed(available)}'
            )
    if not isinstance(name, str) or (name not in available and "." not in name):
        raise ConfigurationError(unknown("predictor to interpret", [name], available))
    make = Predictor.by_name(name)
    modes = {module: module.training for module in model.modules()}
    try:
        made = make(model, dataset_reader, **(arguments or {}))
    except TypeError as error:
        raise ConfigurationError(
            f"predictor {name!r} cannot be made with predictor_args {arguments!r}: {error}"
        ) from error
    if not frozen:  # not every predictor passes the word on, and the default is to freeze
        for module, training in modes.items():
            module.training = training
    return made


def interpreter_of(given: str | JsonDict, predictor: Predictor) -> AnyInterpreter:
    """The interpreter by its name or its parameters.

    Args:
        given: The registered name, or the parameters with the name as `type`.
        predictor: The predictor whose predictions it explains.

    Raises:
        ConfigurationError: If there is no such interpreter, or it takes no such parameters.
    """
    parameters = {"type": given} if isinstance(given, str) else given
    if not isinstance(parameters, Mapping) or not isinstance(parameters.get("type"), str):
        raise ConfigurationError(
            'interpreter is a registered name or an object with one, {"type": "…", …}; '
            f"got {given!r}"
        )
    name = parameters["type"]
    available = AnyInterpreter.list_available()
    if name not in available and "." not in name:
        raise ConfigurationError(unknown("interpreter", [name], available))
    subclass, constructor = AnyInterpreter.resolve_class_name(name)
    arguments = infer_params(subclass, getattr(subclass, constructor or "__init__"))
    known = {key for key, argument in arguments.items() if argument.kind != argument.VAR_KEYWORD}
    known -= {"self", "predictor"}
    extra = [key for key in parameters if key != "type" and key not in known]
    if extra:
        raise ConfigurationError(unknown(f"parameter of the interpreter {name!r}", extra, known))
    try:
        made = AnyInterpreter.from_params(Params(deepcopy(dict(parameters))), predictor=predictor)
        check = getattr(made, "check_settings", None)  # against the model, before there is an input
        if check is not None:
            check()
        return made
    except (ConfigurationError, TypeError, ValueError, InterpretationError) as error:
        raise ConfigurationError(f"interpreter {json.dumps(parameters)}: {error}") from error


def unknown(what: str, names: Any, available: Any) -> str:
    """The message for unknown names: which are meant, perhaps, and which there are."""
    parts = [f"unknown {what}: {', '.join(repr(name) for name in names)}"]
    close: list[str] = []
    for name in map(str, names):
        ours = _ELSEWHERE.get(name.lower())
        close += (
            [ours]
            if ours and ours in available
            else difflib.get_close_matches(name, list(available))
        )
    if close:
        parts.append(f"did you mean {' or '.join(repr(name) for name in close)}?")
    parts.append(f"there are: {_listed(available)}" if available else "there are none")
    return "; ".join(parts)


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
