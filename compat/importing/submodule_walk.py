"""AllenNLP's import of a package with all that is in it, without looking everything up anew."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.util import find_spec
from typing import Any

from ..registry import after, replace

_NEEDS_CHECKLIST = "allennlp.confidence_checks.task_checklists"


@after(
    "allennlp.common.util",
    why="each of the modules that it imports makes Python list all folders of the path again, and "
    "its search imports folders of the working directory under bare names",
)
def submodule_walk(module: Any) -> bool:
    """Forget what the import system knows of folders once a walk, not once a module.

    Only the immediate children of a package are looked for: `pkgutil.walk_packages` without a
    prefix imports every package that it finds by its last name, so that in a folder with an
    `interpret/` of its own that one is imported in the place of `allennlp.interpret`.
    """

    def import_module_and_submodules(package_name: str, exclude: set[str] | None = None) -> None:
        """Import all public submodules under a package.

        Args:
            package_name: The package.
            exclude: Full names of modules that are left out, with all that is in them.
        """
        excluded = set(exclude or ())
        if find_spec("checklist") is None:
            excluded.add(_NEEDS_CHECKLIST)
        importlib.invalidate_caches()
        with module.push_python_path("."):
            walk(package_name, excluded)

    def walk(name: str, excluded: set[str]) -> None:
        if name in excluded:
            return
        path = getattr(importlib.import_module(name), "__path__", None) or ()
        first = next(iter(path), None)
        for finder, child, _ in pkgutil.iter_modules(path):
            # What another entry of the path holds under the same name is not of this package,
            # private modules are imported by their package, and tests by nobody.
            if getattr(finder, "path", None) == first and not child.startswith(("_", "test")):
                walk(f"{name}.{child}", excluded)

    replace(module, "import_module_and_submodules", import_module_and_submodules)
    return True
