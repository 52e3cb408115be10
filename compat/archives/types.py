"""The classes that an archive's configuration may name: none that it would have to import."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

from ..registry import Original, after, patch, wrap
from .source import ArchiveSource, ArchiveText, current_source, refusal, within


@patch(
    "allennlp.common.registrable",
    "Registrable.resolve_class_name",
    why="a dotted type in an archive's configuration imports any module and calls anything in it",
)
def archive_class_names(original: Original, cls: Any, name: Any) -> tuple[Any, str | None]:
    """Take an archive's dotted type from imported modules, and of the right class alone.

    What a user's own configuration names is looked up as before.
    """
    from allennlp.common.registrable import Registrable

    source = getattr(name, "archive_source", None) or current_source()
    registered: Any = Registrable._registry[cls]
    if source is None or name in registered or "." not in name or name in source.named_by_user:
        return original(cls, name)
    return _imported_class(cls, name, source, registered), None


def _imported_class(base: Any, name: str, source: ArchiveSource, registered: Any) -> Any:
    module_name, _, class_name = name.rpartition(".")
    module = sys.modules.get(module_name)
    asks = f"its configuration asks for a {base.__name__} of the type {name!r}, and "
    if module is None:
        raise refusal(
            source.name,
            f"{asks}there is no imported module {module_name!r}. The configuration of an "
            "archive imports nothing itself. If the module is yours, import it first "
            f"(`import {module_name}`, or `--include-package {module_name}` on the command line).",
        )
    # Not getattr: a module may import something when it is asked for a name that it lacks.
    found: Any = vars(module).get(class_name)
    if not issubclass(type(found), type) or not (
        base in found.__mro__ or any(found is one for one, _ in registered.values())
    ):
        raise refusal(
            source.name,
            f"{asks}that is no subclass of {base.__name__} but {_described(found)}. The "
            "configuration of an archive names classes of the kind that is wanted and nothing "
            "else. Look at it before you trust its author.",
        )
    return found


def _described(found: Any) -> str:
    """What kind of thing it is, without what it holds."""
    if found is None:
        return "nothing"
    if issubclass(type(found), type):
        return f"the class {found.__module__}.{found.__qualname__}"
    return f"a {type(found).__name__}"


@patch(
    "allennlp.common.from_params",
    "FromParams.from_params",
    why="what an archive's configuration describes may be built long after the archive was loaded: "
    "`allennlp evaluate` builds its data loader",
)
def archive_parameters(original: Original, cls: Any, params: Any, *args: Any, **kwargs: Any) -> Any:
    """Hold what is built from an archive's parameters to the archive's rules, whenever it is."""
    with _rules_of(getattr(params, "archive_source", None)):
        return original(cls, params, *args, **kwargs)


@patch(
    "allennlp.common.from_params",
    "construct_arg",
    why="AllenNLP takes no subclass of str, as an archive's texts are, for a string",
)
def archive_texts(
    original: Original,
    class_name: str,
    argument_name: str,
    given: Any,
    annotation: Any,
    *args: Any,
    **more: Any,
) -> Any:
    """Hand on a plain string where one is asked for."""
    plain = str(given) if annotation is str and isinstance(given, ArchiveText) else given
    return original(class_name, argument_name, plain, annotation, *args, **more)


def _rules_of(source: ArchiveSource | None) -> AbstractContextManager[None]:
    """The rules for an archive, unless they hold already or it is none."""
    return nullcontext() if source is None or source == current_source() else within(source)


@after(
    "allennlp.common.lazy",
    why="an object that holds a Lazy builds its part later, when no archive is being loaded",
)
def archive_lazies(module: Any) -> bool:
    """Remember which archive the parameters of a Lazy are from, and build under its rules."""
    lazy = module.Lazy
    constructor = lazy.constructor.fget

    def init(
        original: Any, self: Any, constructor: Any, params: Any = None, *args: Any, **more: Any
    ) -> None:
        original(self, constructor, params, *args, **more)
        # What has no parameters is a default in somebody's code.
        self._archive_source = current_source() if params else None

    @wraps(constructor)
    def guarded(self: Any) -> Any:
        construct, source = constructor(self), getattr(self, "_archive_source", None)
        if source is None:
            return construct

        @wraps(construct)
        def construct_under_rules(*args: Any, **kwargs: Any) -> Any:
            with _rules_of(source):
                return construct(*args, **kwargs)

        return construct_under_rules

    wrap(lazy, "__init__", init)
    lazy.constructor = property(guarded, doc=lazy.constructor.__doc__)
    return True
