"""What `allennlp-saliency doctor` looks at."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from . import environment
from .plugins import PLUGIN
from .registry import FAILED, PACKAGES, shims

if TYPE_CHECKING:
    from packaging.requirements import Requirement

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


ALLENNLP_VERSION = "2.10.1"
DISTRIBUTION = "allennlp-saliency"
_SHOWN_FIRST = ("torch", "transformers", "numpy")


def examine() -> Iterator[Finding]:
    """Everything that must be right for the plain `allennlp` command to work, one by one."""
    yield from _versions()
    yield from _models_versions()
    yield from _torchvision()
    yield from _command()
    if _version("allennlp") == "":
        return
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from _shims()
            yield _plugin()
            yield from check_plugins()
    finally:
        logging.disable(logging.NOTSET)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info >= (3, 11)
    yield Finding("versions", "python", fits, python, "use Python 3.11 or newer")
    own, allennlp = _version(DISTRIBUTION), _version("allennlp")
    yield Finding("versions", DISTRIBUTION, bool(own), own or "not installed", "pip install .")
    yield _pinned("allennlp", allennlp or "not installed", ALLENNLP_VERSION)
    needed = _needed(lambda marker: marker is None or marker.evaluate())
    needed.sort(key=lambda need: (need.name not in _SHOWN_FIRST, need.name.lower()))
    yield from _requirements(needed)


def _pinned(name: str, found: str, wanted: str) -> Finding:
    advice = f"pip install --no-deps {name}=={wanted}"
    return Finding("versions", name, found == wanted, found, advice)


def _needed(wanted: Callable[[Any], bool]) -> list[Requirement]:
    """What this distribution requires, by the marker of each requirement."""
    from packaging.requirements import Requirement

    texts = requires(DISTRIBUTION) if _version(DISTRIBUTION) else None
    return [need for need in map(Requirement, texts or ()) if wanted(need.marker)]


def _requirements(needed: list[Requirement], of: str = "") -> Iterator[Finding]:
    """Those that are missing or do not fit, and the most important ones in any case."""
    for need in needed:
        found = _version(need.name)
        ok = bool(found) and need.specifier.contains(found, prereleases=True)
        wanted = f"{need.specifier or 'any version'} needed{of}"
        detail = found if ok else f"{found or 'not installed'} ({wanted})"
        if not ok or need.name in _SHOWN_FIRST:
            advice = f'pip install "{need.name}{need.specifier}"'
            yield Finding("versions", need.name, ok, detail, advice)


def _models_versions() -> Iterator[Finding]:
    """What allennlp-models imports, where it is installed; nothing where it is not."""
    found = _version(MODELS_DISTRIBUTION)
    if not found and find_spec(MODELS) is None:
        return
    found = found or "not installed, though its package is there"
    yield _pinned(MODELS_DISTRIBUTION, found, MODELS_VERSION)
    extra = _needed(
        lambda marker: (
            marker is not None
            and marker.evaluate({"extra": MODELS_EXTRA})
            and not marker.evaluate({"extra": ""})
        )
    )
    yield from _requirements(extra, f" by {MODELS_DISTRIBUTION}")


def _torchvision() -> Iterator[Finding]:
    """None at all is fine; an unfit one breaks transformers itself, text models included."""
    if not _version("torchvision"):
        return
    try:
        importlib.import_module("torchvision.ops")
    except Exception as problem:
        yield Finding(
            "versions",
            "torchvision",
            False,
            f"{_version('torchvision')} does not fit this torch ({problem})",
            "pip uninstall torchvision, or install the one made for this torch",
        )


def _command() -> Iterator[Finding]:
    path = environment.pth_file()
    ok, detail, advice = False, f"no {path}", "allennlp-saliency enable"
    if path.is_file():
        detail = f"{path} is of another version"
        if path.read_text(encoding="utf-8") == environment.PTH_LINE:
            ok, detail = environment.pth_works(), f"enabled by {path}"
            if not ok:
                detail = f"{path} is there, but Python does not read it"
                advice = "start Python without -S, in an environment that reads it (a venv)"
    yield Finding("command", "plain `allennlp`", ok, detail, advice)


def _shims() -> Iterator[Finding]:
    absent = {name for name in PACKAGES if find_spec(name) is None}
    for shim in shims():
        skipped = shim.optional and shim.state != FAILED
        if skipped or shim.module.partition(".")[0] in absent:
            continue
        error = ""
        try:
            importlib.import_module(shim.module)
        except Exception as problem:
            # Of what else is missing in allennlp-models, the section of the plugins tells.
            if shim.module.partition(".")[0] == MODELS and shim.state != FAILED:
                continue
            error = f"{type(problem).__name__}: {problem}"
        ok = not error and shim.state != FAILED
        yield Finding(
            "shims",
            shim.name,
            ok,
            f"{shim.state} · {shim.module}: {error or shim.error or shim.why}",
            "install the versions in constraints.txt, or report this line",
        )


def _plugin() -> Finding:
    advice = "allennlp-saliency enable"
    try:
        importlib.import_module(PLUGIN)
        plugins = importlib.import_module("allennlp.common.plugins")
    except Exception as problem:
        return Finding("plugin", PLUGIN, False, f"{type(problem).__name__}: {problem}", advice)
    found = [
        str(path)
        for path in (environment.local_plugins_file(), environment.global_plugins_file())
        if PLUGIN in environment.listed_plugins(path)
    ]
    if PLUGIN in plugins.DEFAULT_PLUGINS:
        found.insert(0, "the default plugins")
    detail = f"found in {', '.join(found)}" if found else "AllenNLP does not find it"
    return Finding("plugin", PLUGIN, bool(found), detail, advice)
