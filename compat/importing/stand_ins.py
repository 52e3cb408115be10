"""Stand-ins for names that a module imports and most of its users never use.

A stand-in lives in the namespace of the one module that imported the name, never in
`sys.modules`, so no other library can meet it. Its first use imports the real thing, which takes
its place in that namespace. From outside (`module.name`, `from module import name`) only the real
thing is seen.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

# `typing` looks for these on whatever stands in an annotation; that is no use of it.
_ASKED_BY_TYPING = frozenset({"__parameters__", "__origin__", "__args__", "__unpacked__"})


@dataclass(frozen=True)
class Source:
    """Where a name comes from.

    Args:
        module: full name of the module that has it.
        attribute: the name in that module; empty for the module itself.
        also: modules that are imported with it, because its users rely on their presence.
    """

    module: str
    attribute: str = ""
    also: tuple[str, ...] = ()

    @property
    def loaded(self) -> bool:
        """Whether the real thing can be had without importing anything new."""
        module = sys.modules.get(self.module)
        return module is not None and (not self.attribute or self.attribute in vars(module))

    @property
    def library(self) -> str:
        """The top-level package."""
        return self.module.partition(".")[0]

    def fetch(self) -> Any:
        """Import the real thing."""
        for name in self.also:
            import_module(name)
        if not self.attribute:
            return import_module(self.module)
        # As `from module import attribute` does, which also finds a submodule.
        return getattr(__import__(self.module, fromlist=(self.attribute,)), self.attribute)

    def may_have_made(self, classes: Iterable[type]) -> bool:
        """Whether one of these classes is of this library."""
        return any(str(one.__module__).partition(".")[0] == self.library for one in classes)

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}" if self.attribute else self.module


@dataclass(frozen=True, eq=False)
class Call(Source):
    """What a call of it at a module's top level returns.

    Args:
        keywords: the arguments.
    """

    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def loaded(self) -> bool:
        """Never: the call is not made yet."""
        return False

    def fetch(self) -> Any:
        """Make the call."""
        return super().fetch()(**self.keywords)

    def __str__(self) -> str:
        return f"{super().__str__()}(…)"


def fetch(source: Source) -> Any:
    """What a pickled stand-in becomes: the real thing."""
    return source.fetch()


class StandIn:
    """Stands for a module, class, function or table until it is used.

    `isinstance` and `==` import nothing for objects of other libraries. Exceptions have no
    stand-ins: `except` takes real classes only.

    Args:
        source: what it stands for.
        namespace: of the module that imported the name.
        parts: attributes that have stand-ins themselves, by name.
    """

    __slots__ = ("_namespace", "_parts", "_source")

    def __init__(
        self,
        source: Source,
        namespace: dict[str, Any],
        parts: Mapping[str, StandIn] | None = None,
    ) -> None:
        set_own = object.__setattr__
        set_own(self, "_source", source)
        set_own(self, "_parts", parts or {})
        set_own(self, "_namespace", namespace)

    def __getattr__(self, name: str) -> Any:
        if name in _ASKED_BY_TYPING or name.startswith("__typing_"):
            raise AttributeError(name)
        part = self._parts.get(name)
        if part is not None and not part._source.loaded:
            return part
        return getattr(real(self), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return real(self)(*args, **kwargs)

    def __instancecheck__(self, instance: Any) -> bool:
        classes = {*type(instance).__mro__, *instance.__class__.__mro__}
        return self._source.may_have_made(classes) and isinstance(instance, real(self))

    def __subclasscheck__(self, subclass: Any) -> bool:
        return self._source.may_have_made(subclass.__mro__) and issubclass(subclass, real(self))

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (real(self),)

    def __ror__(self, other: Any) -> Any:
        return other | real(self)

    def __eq__(self, other: Any) -> bool:
        if type(other) is StandIn:
            return self._source == other._source
        name = getattr(other, "__module__", None) or getattr(other, "__name__", "")
        same_library = str(name).partition(".")[0] == self._source.library
        return same_library and bool(real(self) == other)

    def __hash__(self) -> int:
        return hash(self._source)

    def __reduce__(self) -> tuple[Any, ...]:
        return fetch, (self._source,)

    def __repr__(self) -> str:
        return f"<{self._source}, imported when it is used>"


def _on_real(function: Callable[..., Any]) -> Any:
    return lambda self, *given: function(real(self), *given)


_FORWARDED: dict[str, Callable[..., Any]] = {
    "__setattr__": setattr,
    "__delattr__": delattr,
    "__getitem__": operator.getitem,
    "__contains__": operator.contains,
    "__iter__": iter,
    "__len__": len,
    "__bool__": bool,
    "__or__": operator.or_,
}
for _name, _function in _FORWARDED.items():
    setattr(StandIn, _name, _on_real(_function))


def fetched(stand_in: StandIn) -> Any:
    """Import what a stand-in stands for, and leave the stand-in where it is."""
    return stand_in._source.fetch()


def real(stand_in: StandIn) -> Any:
    """Import what a stand-in stands for.

    Everything that the module has of the same library takes its stand-in's place, so that a value
    that is only handed on is never handed on as a stand-in.

    Raises:
        ImportError: if it cannot be imported, as the import itself would have said.
    """
    thing = fetched(stand_in)
    namespace = stand_in._namespace
    for name, value in list(namespace.items()):
        if value is stand_in:
            namespace[name] = thing
        elif type(value) is StandIn and value._source.library == stand_in._source.library:
            namespace[name] = fetched(value)
    return thing
