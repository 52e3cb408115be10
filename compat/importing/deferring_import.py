"""The `import` statement of one module, which gives stand-ins for what the module does not need."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from .stand_ins import Source, StandIn, real


@dataclass(frozen=True)
class Deferred:
    """What one module imports and does not need at once.

    Args:
        imports: full names that get stand-ins, as `library`, `library.module` or
            `library.module.Name`; a dotted name is also reached through `import library`.
        also: what is imported with a module, by the module's name.
        given: what an import statement gets instead of anything else, by the module that it names.
    """

    imports: tuple[str, ...] = ()
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)


class DeferringImport:
    """The `import` statement of one module's top level, while that module is executed.

    Python takes `__import__` from the built-ins of the running code, and those of a module's top
    level from the module's `__builtins__`. This replaces them for that code alone: functions and
    classes of the module, and every other module, have the real ones. It is true if something was
    deferred.

    Args:
        module: the module, before it is executed.
        deferred: what it does not need at once.
    """

    def __init__(self, module: ModuleType, deferred: Deferred) -> None:
        self.namespace = vars(module)
        self.deferred = deferred
        self.made: list[StandIn] = []
        self.namespace["__builtins__"] = {**vars(builtins), "__import__": self}

    def __bool__(self) -> bool:
        return bool(self.made or self.deferred.given)

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> Any:
        """Import a module, or give a stand-in for it."""
        self.hand_back()
        if name in self.deferred.given:
            return self.deferred.given[name]
        if level == 0 and fromlist:
            names = {entry: self._deferred_name(name, entry) for entry in fromlist}
            if any(stand_in is not None for stand_in in names.values()):
                return _Imported(name, names)
        elif level == 0 and name in self.deferred.imports:
            stand_in = self._tree(name.partition(".")[0], name)
            if stand_in is not None:
                return stand_in
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def hand_back(self) -> None:
        """Give the functions that the module defines from here on the real built-ins."""
        self.namespace["__builtins__"] = vars(builtins)

    def _deferred_name(self, module: str, name: str) -> StandIn | None:
        full = f"{module}.{name}"
        if full not in self.deferred.imports:
            return None
        return self._tree(full, full) if self._below(full) else self._make(Source(module, name))

    def _below(self, module: str) -> list[str]:
        """The deferred names inside a module."""
        return [full for full in self.deferred.imports if full.startswith(f"{module}.")]

    def _tree(self, module: str, imported: str) -> StandIn | None:
        """A stand-in for a module whose deferred parts have their own; the module `imported`, which
        the statement names, and all before its dots are modules, too."""
        parts = {}
        for full in self._below(module):
            part = full[len(module) + 1 :].partition(".")[0]
            name = f"{module}.{part}"
            if self._below(name) or f"{imported}.".startswith(f"{name}."):
                stand_in = self._tree(name, imported)
            else:
                stand_in = self._make(Source(module, part))
            if stand_in is not None:
                parts[part] = stand_in
        also = self.deferred.also.get(module, ())
        if imported.startswith(f"{module}."):
            also = (*also, imported)
        return self._make(Source(module, also=also), parts)

    def _make(self, source: Source, parts: Mapping[str, StandIn] | None = None) -> StandIn | None:
        if source.loaded and not parts:
            return None
        # What is not installed is missed where it is imported, as ever.
        if source.library not in sys.modules and find_spec(source.library) is None:
            return None
        self.made.append(StandIn(source, self.namespace, parts))
        return self.made[-1]


class _Imported:
    """What `from module import …` takes its names from: stand-ins, and real ones beside them."""

    def __init__(self, module: str, names: Mapping[str, StandIn | None]) -> None:
        self._module = module
        self._names = names

    def __getattr__(self, name: str) -> Any:
        stand_in = self._names.get(name)
        if stand_in is not None:
            return stand_in
        module = builtins.__import__(self._module, None, None, (name,), 0)
        return getattr(module, name)


def show_real_things(module: ModuleType) -> None:
    """Let everybody who looks into an executed module from outside find the real things only.

    A property of the module's class comes before the entry of its namespace, which functions of
    the module go on reading directly.
    """
    names = [name for name, value in vars(module).items() if type(value) is StandIn]
    if names and type(module) is ModuleType:
        properties: dict[str, Any] = {name: _outside(name) for name in names}
        module.__class__ = type("module", (_ShownModule,), properties)


class _ShownModule(ModuleType):
    """A module that pickles by its name, as cloudpickle and dill pickle plain modules."""

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)


def _outside(name: str) -> property:
    def get(module: ModuleType) -> Any:
        try:
            value = vars(module)[name]
        except KeyError:
            raise AttributeError(f"module '{module.__name__}' has no attribute '{name}'") from None
        return real(value) if type(value) is StandIn else value

    def put(module: ModuleType, value: Any) -> None:
        vars(module)[name] = value

    def delete(module: ModuleType) -> None:
        try:
            del vars(module)[name]
        except KeyError:
            raise AttributeError(name) from None

    return property(get, put, delete)
