"""The import hook: runs a module's shims when, and only when, AllenNLP imports that module."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .registry import NOT_NEEDED, NOT_YET_IMPORTED, Shim, is_mended, shims, shims_for

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
