"""Objects from what a constructor was given for them: an object, a name, or a params dict."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from allennlp.common import Params, Registrable
from allennlp.common.checks import ConfigurationError

from .errors import close_names

R = TypeVar("R", bound=Registrable)


def construct(base: type[R], given: Any, parameter: str | None = None) -> R:
    """An object of a registered class.

    Args:
        base: The base class: `Target`.
        given: An object, a registered name (`"logit"`), a params dict (`{"type": "logit",
            "label": "negative"}`), which is left as it is, or what the base class has a
            constructor for: `of_function`, `of_list`.
        parameter: What it was given for, where that has another name than the base class.

    Raises:
        ConfigurationError: If there is no such name, or the parameters do not fit.
    """
    where = f"{parameter!r}: " if parameter else ""
    if isinstance(given, base):
        return given
    if isinstance(given, str):
        given = {"type": given}
    of_function, of_list = getattr(base, "of_function", None), getattr(base, "of_list", None)
    if of_function is not None and callable(given):
        return of_function(given)
    if of_list is not None and isinstance(given, list):
        return of_list(given)
    if isinstance(given, Params):
        given = given.as_dict(quiet=True)
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"{where}a {base.__name__.lower()} is an object, a name or a dict with a 'type', not "
            f"{given!r:.100}"
        )
    name = given.get("type", base.default_implementation)
    if name not in base.list_available():
        # In JSON, as it may be typed.
        quoted = json.dumps(str(name), ensure_ascii=False)
        hint = getattr(base, "name_hint", "").format(name=quoted)
        known = sorted(base.list_available())
        close = close_names(str(name), known)
        meant = f"{close} There" if close.startswith("did") else "there"
        raise ConfigurationError(
            f"{where}there is no {base.__name__.lower()} {name!r}; {meant} are "
            f"{', '.join(known)}{hint}"
        )
    lacking = _lacking(base, name, given)
    if lacking:
        raise ConfigurationError(where + lacking)
    return base.from_params(Params({"type": name, **_copied(given)}))


def _lacking(base: type[Registrable], name: str, given: Mapping[str, Any]) -> str | None:
    """What a class needs and was not given, with an example of it, which the class may have as
    `example`; None where nothing lacks."""
    cls, constructor = base.resolve_class_name(name)
    parameters = inspect.signature(getattr(cls, constructor) if constructor else cls).parameters
    needed = [
        key
        for key, one in parameters.items()
        if one.default is one.empty and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    ]
    lacking = [key for key in needed if key not in given]
    if not lacking:
        return None
    known = {"type": name, **given}
    example = {**known, **{key: getattr(cls, "example", {}).get(key, "…") for key in lacking}}
    told = [f"{key!r}{_meaning(cls, key)}" for key in lacking]
    return (
        f"the {base.__name__.lower()} {name!r} needs {' and '.join(told)}, such as "
        f"{json.dumps(example, ensure_ascii=False, default=str)}"
    )


def _meaning(cls: type, parameter: str) -> str:
    """What the docstring of a class says of a parameter, in parentheses; empty where it is
    silent."""
    found = re.search(rf"^\s*{parameter}: ([^.\n:;]+)", inspect.getdoc(cls) or "", re.MULTILINE)
    return f" ({found[1][0].lower()}{found[1][1:]})" if found else ""


def describe(thing: Registrable, base: type[Registrable], leave_out: frozenset[str]) -> Any:
    """The params that would construct an object again, as far as they are plain.

    Args:
        thing: An object that keeps its constructor's arguments under their names.
        base: The base class that it is registered under.
        leave_out: Names of arguments that the explanation describes elsewhere.

    Returns:
        `{"type": "integrated-gradients", "steps": 32, …}`.
    """
    description: dict[str, Any] = {"type": registered_name(type(thing), base)}
    for name in _parameters(type(thing)):
        if name in leave_out or not hasattr(thing, name):
            continue
        value = _described(getattr(thing, name))
        if isinstance(value, (str, int, float, bool, list, dict)):
            description[name] = value
    return description


def _described(value: Any) -> Any:
    if isinstance(value, Registrable):
        base = next(cls for cls in reversed(type(value).__mro__) if cls in Registrable._registry)
        return describe(value, base, frozenset())
    return [_described(one) for one in value] if isinstance(value, list) else value


def registered_name(cls: type, base: type[Registrable]) -> str:
    """The name under which a class is registered, its own name where it is not."""
    names = (name for name in base.list_available() if base.by_name(name) is cls)
    return next(names, cls.__name__)


def _copied(given: Mapping[str, Any]) -> dict[str, Any]:
    # from_params consumes what it is given.
    return {
        key: _copied(value) if isinstance(value, Mapping) else value for key, value in given.items()
    }


def _parameters(cls: type) -> list[str]:
    """The constructor's parameters, those of the base classes that it hands on included."""
    names: list[str] = []
    for parent in cls.__mro__:
        if "__init__" not in vars(parent):
            continue
        parameters = inspect.signature(vars(parent)["__init__"]).parameters.values()
        names += [p.name for p in parameters if p.name not in (*names, "self")]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names
