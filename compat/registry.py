"""The register of shims: which module of AllenNLP each one mends, why, and what became of it; and
the import hook that runs a module's shims when, and only when, AllenNLP imports that module."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NOT_YET_IMPORTED = "not yet imported"
NOT_NEEDED = "not needed"
ACTIVE = "active"
FAILED = "failed"

Original = Callable[..., Any]
"""What a function takes the place of, its first argument."""

# The packages whose modules are mended. Nothing here imports the second: it may not be installed.
# The others are what the two import, for the mends of what those import in turn.
PACKAGES = ("allennlp", "allennlp_models", "cached_path", "rouge", "transformers")


def is_mended(module: str) -> bool:
    """Whether the module of this full name belongs to a package that is mended."""
    return module.partition(".")[0] in PACKAGES


@dataclass
class Shim:
    """One mend of one AllenNLP module.

    Exactly one of `after` and `around` is set. `after` gets the module once it has been executed
    and returns whether it changed anything. `around` is a generator function that runs up to its
    `yield` before the module is executed and goes on afterwards; it yields whether it acts, or
    nothing if it does not. An `optional` one only saves time, or mends a library that may be
    absent.
    """

    name: str
    module: str
    why: str
    after: Callable[[Any], bool] | None = None
    around: Callable[[], Iterator[Any]] | None = None
    optional: bool = False
    state: str = NOT_YET_IMPORTED
    error: str = ""

    def fail(self, error: Exception) -> None:
        """Record that the shim could not do its work, and warn: the module itself may still do."""
        self.state = FAILED
        self.error = f"{type(error).__name__}: {error}"
        warnings.warn(
            f"allennlp-saliency could not mend {self.module} ({self.why}): {self.error}. "
            "Run `allennlp-saliency doctor` and compare the versions with constraints.txt.",
            RuntimeWarning,
            stacklevel=2,
        )

    def apply_after(self, module: ModuleType) -> None:
        """Run an `after` shim on an executed module and note what became of it."""
        if self.after is None:
            return
        try:
            self.state = ACTIVE if self.after(module) else NOT_NEEDED
        except Exception as error:
            self.fail(error)

    @contextmanager
    def applied_around(self) -> Iterator[None]:
        """Hold an `around` shim in place while its module is executed."""
        if self.around is None:
            yield
            return
        running = self.around()
        try:
            acts = next(running, False)
        except Exception as error:
            self.fail(error)
            yield
            return
        try:
            yield
        finally:
            next(running, None)
        self.state = ACTIVE if acts else NOT_NEEDED


_shims: list[Shim] = []


def shims() -> tuple[Shim, ...]:
    """All shims, in the order of their registration."""
    return tuple(_shims)


def shims_for(module: str) -> list[Shim]:
    """The shims that mend the module of this full name."""
    return [shim for shim in _shims if shim.module == module]


def after(module: str, why: str) -> Callable[[Callable[[Any], bool]], Shim]:
    """Register a function that mends `module` once it has been executed."""

    def register(function: Callable[[Any], bool]) -> Shim:
        _shims.append(Shim(_name(function), module, why, after=function))
        return _shims[-1]

    return register


def patch(
    module: str, attribute: str, why: str, needed: Callable[[Any], bool] = lambda module: True
) -> Callable[[Callable[..., Any]], Shim]:
    """Register a function that takes the place of `attribute` of `module`; see `wrap`.

    Args:
        module: full name of the module.
        attribute: `function`, `Class.method`, or the name of a class.
        why: what is wrong without it.
        needed: whether the executed module has the fault.
    """
    owner, _, name = attribute.rpartition(".")

    def register(function: Callable[..., Any]) -> Shim:
        def mend(module: Any) -> bool:
            if not needed(module):
                return False
            wrap(getattr(module, owner) if owner else module, name, function)
            return True

        _shims.append(Shim(_name(function), module, why, after=mend))
        return _shims[-1]

    return register


def wrap(owner: Any, name: str, new: Callable[..., Any]) -> None:
    """Put `new` in the place of a function or method; it is given the original, then its arguments.

    What a module defines is also replaced where another AllenNLP module took it; what a module only
    imports, in that module alone.
    """
    held = vars(owner)[name]
    kind = type(held) if isinstance(held, classmethod | staticmethod) else None
    original = held if kind is None else held.__func__

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return new(original, *args, **kwargs)

    if isinstance(owner, ModuleType) and original.__module__ == owner.__name__:
        replace(owner, name, call)
    else:
        setattr(owner, name, call if kind is None else kind(call))


def around(
    *modules: str, why: str, optional: bool = False
) -> Callable[[Callable[[], Iterator[Any]]], list[Shim]]:
    """Register a generator function that is held in place while each of `modules` is executed."""

    def register(function: Callable[[], Iterator[Any]]) -> list[Shim]:
        added = [
            Shim(_name(function), module, why, around=function, optional=optional)
            for module in modules
        ]
        _shims.extend(added)
        return added

    return register


@contextmanager
def lent(owner: Any, things: Mapping[str, Any]) -> Iterator[bool]:
    """Give an object the attributes that it lacks, for a while; yields whether it lacked any."""
    missing = [name for name in things if not hasattr(owner, name)]
    for name in missing:
        setattr(owner, name, things[name])
    try:
        yield bool(missing)
    finally:
        for name in missing:
            delattr(owner, name)


def replace(module: ModuleType, name: str, new: Any) -> None:
    """Put `new` in the place of `module.name`, also where another AllenNLP module took the old one.

    The latter only matters when AllenNLP was imported before this package.
    """
    old = getattr(module, name)
    setattr(module, name, new)
    for other_name, other in list(sys.modules.items()):
        if is_mended(other_name) and other is not None:
            namespace = vars(other)
            for key, value in list(namespace.items()):
                if value is old:
                    namespace[key] = new


def _name(function: Callable[..., Any]) -> str:
    return function.__name__.replace("_", "-")


_lock = threading.Lock()


class ShimmedLoader(Loader):
    """A module's own loader, with the module's shims around the execution."""

    def __init__(self, loader: Any, module_shims: list[Shim]) -> None:
        self.loader = loader
        self.module_shims = module_shims

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave the creation of the module to its own loader."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module within its shims, and hand it back to its own loader."""
        with ExitStack() as stack:
            for shim in self.module_shims:
                stack.enter_context(shim.applied_around())
            self.loader.exec_module(module)
        for shim in self.module_shims:
            shim.apply_after(module)
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader


class AllenNLPFinder(MetaPathFinder):
    """Finds what the other finders find, and wraps the loader of the modules that have shims."""

    def __init__(self) -> None:
        self._looking = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a mended package's module that has shims; None for any other module."""
        if not is_mended(fullname):
            return None
        module_shims = shims_for(fullname)
        # The `.pth` hook asks this finder again, hence the guard.
        if not module_shims or getattr(self._looking, "name", None) == fullname:
            return None
        self._looking.name = fullname
        try:
            others = [one for one in sys.meta_path if one is not self and hasattr(one, "find_spec")]
            specs = (finder.find_spec(fullname, path, target) for finder in others)
            spec = next((one for one in specs if one is not None), None)
        finally:
            self._looking.name = None
        if spec is not None and spec.loader is not None:
            spec.loader = ShimmedLoader(spec.loader, module_shims)
        return spec


FINDER = AllenNLPFinder()


def install() -> None:
    """Put the finder at the head of `sys.meta_path`; once is enough, twice is harmless."""
    with _lock:
        if FINDER in sys.meta_path:
            return
        sys.meta_path.insert(0, FINDER)
        for shim in shims():
            module = sys.modules.get(shim.module)
            # What AllenNLP imported before us got through without the import-time shims.
            if module is not None and shim.state == NOT_YET_IMPORTED:
                if shim.around is not None:
                    shim.state = NOT_NEEDED
                else:
                    shim.apply_after(module)
