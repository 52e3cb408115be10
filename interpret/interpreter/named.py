"""The interpreter that a config or a command names, and what errors say of names that there are
not."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.common.from_params import infer_params
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.predictors import Predictor

from ..errors import InterpretationError

_ELSEWHERE = {
    "saliency": "gradient",
    "smoothgrad": "smooth-gradients",
    "vargrad": "var-gradients",
    "n_steps": "steps",
    "n_samples": "num_samples",
    "nt_samples": "num_samples",
    "nt_type": "statistic",
    "internal_batch_size": "token_budget",
}
"""The names that other libraries (captum, inseq) use, with ours."""
_ONES_OWN = "one of your own is found once its module is imported, --include-package MODULE"


def interpreter_of(
    given: str | Mapping[str, Any], predictor: Predictor, check: bool = True
) -> AnyInterpreter:
    """The interpreter by its name or its parameters.

    Args:
        given: The registered name, or the parameters with the name as `type`.
        predictor: The predictor whose predictions it explains.
        check: Whether its settings are checked against the model, before there is an input.

    Raises:
        ConfigurationError: If there is no such interpreter, it takes no such parameters, or they
            fit no such model.
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
        raise ConfigurationError(f"{unknown('interpreter', [name], available)}; {_ONES_OWN}")
    subclass, constructor = AnyInterpreter.resolve_class_name(name)
    known = _parameters_of(subclass, constructor)
    extra = [key for key in parameters if key != "type" and key not in known]
    if extra:
        raise ConfigurationError(unknown(f"parameter of the interpreter {name!r}", extra, known))
    try:
        made = AnyInterpreter.from_params(Params(deepcopy(dict(parameters))), predictor=predictor)
        if check and hasattr(made, "check_settings"):
            made.check_settings()
        return made
    except (ConfigurationError, TypeError, ValueError, InterpretationError) as error:
        raise ConfigurationError(f"interpreter {json.dumps(parameters)}: {error}") from error


def _parameters_of(cls: type, constructor: str | None) -> set[str]:
    """The names of what a class is constructed with, what it hands on to those of all its base
    classes included: `infer_params` follows the first of them alone."""
    arguments = infer_params(cls, getattr(cls, constructor or "__init__"))
    known = {key for key, argument in arguments.items() if argument.kind != argument.VAR_KEYWORD}
    for parent in cls.__mro__ if constructor is None else ():
        if "__init__" not in vars(parent) or parent is object:
            continue
        own = inspect.signature(vars(parent)["__init__"]).parameters.values()
        known |= {one.name for one in own if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
        if not any(one.kind == one.VAR_KEYWORD for one in own):
            break
    return known - {"self", "predictor"}


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
    parts.append(f"there are: {listed(available)}" if available else "there are none")
    return "; ".join(parts)


def listed(names: Iterable[str]) -> str:
    """Names as errors list them."""
    return ", ".join(sorted(names))
