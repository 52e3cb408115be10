"""A method that another one is built on, from a config within its config."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from allennlp.common import Params
from allennlp.common.checks import ConfigurationError

from .. import checks
from ..explanation import JsonDict
from ..interpreter.saliency_interpreter import SaliencyInterpreter

_OUTER = frozenset({"target", "aggregation", "normalization", "token_budget", "granularity"})


def inner_method(outer: SaliencyInterpreter, name: str, given: Any) -> SaliencyInterpreter:
    """The method that another one runs, with the other's predictor, target and granularity.

    Args:
        outer: The other one.
        name: Its registered name.
        given: The name of the method, or its params dict.

    Raises:
        ConfigurationError: If there is no such method, or a parameter is not one of its own.
    """
    if isinstance(given, Params):
        given = given.as_dict(quiet=True)
    if not isinstance(given, (str, Mapping)):
        raise ConfigurationError(
            f"method is the name of a method or a dict of its parameters, not {given!r:.100}"
        )
    # A copy: from_params consumes what it is given.
    params: JsonDict = {"type": given} if isinstance(given, str) else deepcopy(dict(given))
    common = sorted(_OUTER & params.keys())
    if common:
        raise ConfigurationError(
            f"{', '.join(map(repr, common))} of the method {params.get('type')!r} belongs to "
            f"{name!r} itself: name it beside 'method', not in it"
        )
    known = sorted(filter(_is_own, SaliencyInterpreter.list_available()))
    own = checks.choice("method", params.get("type"), known)
    try:
        return SaliencyInterpreter.from_params(
            Params(params),
            predictor=outer.predictor,
            target=outer.target,
            granularity=outer.granularity,
        )
    except TypeError as error:
        raise ConfigurationError(f"the method {own!r} of {name!r}: {error}") from error


def described(inner: SaliencyInterpreter) -> JsonDict:
    """The config of a method within another's: what the other has is left out."""
    return {key: value for key, value in inner.config().items() if key not in _OUTER}


def _is_own(name: str) -> bool:
    return issubclass(SaliencyInterpreter.by_name(name), SaliencyInterpreter)
