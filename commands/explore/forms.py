"""The form of a method: its parameters, as its constructor and its docstring have them."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from typing import Any, get_args, get_origin

from allennlp.common import Registrable
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter

from allennlp_saliency.interpret.coalitions.removal import Removal
from allennlp_saliency.interpret.reduction import Aggregation, Normalization, Reduction
from allennlp_saliency.interpret.space.baselines import Baseline
from allennlp_saliency.interpret.target.targets import Target

BASES: dict[str, type[Registrable]] = {
    "target": Target,
    "baseline": Baseline,
    "removal": Removal,
    "aggregation": Aggregation,
    "normalization": Normalization,
    "reduction": Reduction,
}
"""What a parameter may name by a registered name."""

# What most who try a model leave alone.
_ADVANCED = frozenset(("aggregation", "normalization", "token_budget", "matrices"))
_LABELS = frozenset(("label", "against"))
_ARGUMENT = re.compile(r"^(\w+): ?(.*)$")
_QUOTED = re.compile(r'"([\w-]+)"')
_FILES = ("file", "files", "filename", "folder", "directory", "archive")
_FILE_WORDS = re.compile(rf"\b(?:{'|'.join(_FILES)})\b")
_PLAIN = {int: "integer", float: "number", bool: "boolean", str: "text"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a constructor.

    Attributes:
        name: Its name.
        kind: "integer", "number", "boolean", "text", "label", "json", or a key of `BASES`.
        doc: What the docstring says of it.
        default: Its default, as JSON.
        required: Whether it has none.
        choices: Words that the docstring quotes: what one may write, or some of it.
        advanced: Whether most leave it alone.
    """

    name: str
    kind: str
    doc: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    advanced: bool = False


@dataclass(frozen=True)
class Form:
    """What there is to say about a registered class.

    Attributes:
        name: Its registered name.
        class_name: Its own.
        family: The folder of `interpret/methods` that it is in; "other" for one from elsewhere.
        summary: The first paragraph of its docstring.
        parameters: What its constructor takes.
    """

    name: str
    class_name: str
    family: str
    summary: str
    parameters: tuple[Parameter, ...]

    def to_json(self) -> dict[str, Any]:
        """The form as JSON."""
        return asdict(self)


def methods() -> list[Form]:
    """The forms of all interpreters, AllenNLP's own and those of plugins included."""
    return [
        form(name, SaliencyInterpreter.by_name(name))
        for name in SaliencyInterpreter.list_available()
    ]


def named() -> dict[str, list[Form]]:
    """The forms of all that a parameter may name, by the keys of `BASES`."""
    found = {
        key: [form(name, base.by_name(name)) for name in sorted(base.list_available())]
        for key, base in BASES.items()
    }
    # A baseline is a removal.
    own = [one for one in found["removal"] if one.name != "baseline"]
    return {**found, "removal": own + found["baseline"]}


def form(name: str, cls: Any) -> Form:
    """The form of a registered class."""
    summary = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0]
    parts = cls.__module__.split(".")
    known = parts[:3] == ["allennlp_saliency", "interpret", "methods"] and len(parts) > 4
    family = parts[3] if known else "other"
    return Form(name, cls.__name__, family, " ".join(summary.split()), parameters(cls))


def parameters(cls: type) -> tuple[Parameter, ...]:
    """What a constructor takes, what it hands on to those of its base classes included."""
    found: dict[str, Parameter] = {}
    for parent in cls.__mro__:
        own = vars(parent).get("__init__")
        if own is None or parent is object:
            continue
        try:
            signature = inspect.signature(own)
        except (TypeError, ValueError):
            break
        docs, hints = arguments(parent.__doc__ or ""), _hints(own)
        for given in signature.parameters.values():
            variable = given.kind in (given.VAR_KEYWORD, given.VAR_POSITIONAL)
            if given.name in (*found, "self", "predictor") or variable:
                continue
            doc = docs.get(given.name) or _inherited(cls, given.name)
            found[given.name] = _parameter(given, hints.get(given.name), doc)
        if not any(given.kind is given.VAR_KEYWORD for given in signature.parameters.values()):
            break
    if "removal" in found:
        found.pop("baseline", None)  # another name of it
    return tuple(found.values())


def arguments(docstring: str) -> dict[str, str]:
    """What a Google-style docstring says of each argument."""
    lines = inspect.cleandoc(docstring).splitlines()
    if "Args:" not in lines:
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Args:") + 1 :]:
        if line and not line.startswith(" "):
            break
        match = _ARGUMENT.match(line[4:]) if not line.startswith(" " * 5) else None
        if match:
            name, found[match[1]] = match[1], match[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


def _inherited(cls: type, name: str) -> str:
    """What the docstring of a base class says of a parameter that a class has taken over."""
    found = (arguments(parent.__doc__ or "").get(name) for parent in cls.__mro__)
    return next(filter(None, found), "")


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # a name that only type checkers see, in somebody's plugin
        return {}


def _parameter(given: inspect.Parameter, hint: Any, doc: str) -> Parameter:
    kind = kind_of(given.name, hint)
    default = None if given.default is given.empty else given.default
    if not isinstance(default, (str, int, float, bool)):
        default = None
    quoted = tuple(dict.fromkeys(_QUOTED.findall(doc)))
    choices = quoted if kind in ("text", "json") else ()
    required = given.default is given.empty
    return Parameter(given.name, kind, doc, default, required, choices, given.name in _ADVANCED)


def kind_of(name: str, hint: Any) -> str:
    """The kind of a parameter, by its name and its type hint."""
    if name in _LABELS:
        return "label"
    members = _members(hint)
    classes = [one for one in members if isinstance(one, type)]
    if name in BASES:
        return name
    for key, base in BASES.items():
        if classes and classes[0] is base:
            return key
    plain = [_PLAIN[one] for one in classes if one in _PLAIN]
    if len(plain) == 1 and len(members) == 1:
        return plain[0]
    return "json"


def names_a_file(cls: Any, name: str) -> bool:
    """Whether a parameter may be a file, by its type hint, its name or its docstring."""
    for parent in cls.__mro__:
        hint = _hints(vars(parent)["__init__"]).get(name) if "__init__" in vars(parent) else None
        if any(isinstance(one, type) and issubclass(one, PathLike) for one in _members(hint)):
            return True
    # Not "path" in the docstring: a path of integration is none of the machine's.
    said = _FILE_WORDS.search(_inherited(cls, name).lower()) is not None
    return said or not {"path", *_FILES}.isdisjoint(name.lower().split("_"))


def _members(hint: Any) -> list[Any]:
    """The members of a union but None, else the type alone; of generic types the origin."""
    if hint is None:
        return []
    union = get_origin(hint) in (typing.Union, types.UnionType)
    members = get_args(hint) if union else (hint,)
    return [get_origin(one) or one for one in members if one is not type(None)]
