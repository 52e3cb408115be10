"""What allennlp-models does, and asks for, while it is imported."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from functools import wraps
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ..registry import around

_NARRATIVE_QA = "allennlp_models.rc.tools.narrativeqa"
_PKG_RESOURCES = "pkg_resources"


def resource_filename(package_or_module: str, resource_name: str) -> str:
    """The path of a file beside a module, as `pkg_resources.resource_filename` gives it."""
    module = sys.modules[package_or_module]
    return os.path.join(os.path.dirname(str(module.__file__)), resource_name)


@around(
    _NARRATIVE_QA,
    why="py-rouge imports pkg_resources, which setuptools 82 and newer do not have",
)
def rouge_resources() -> Iterator[bool]:
    """Import py-rouge with the one function of pkg_resources that it calls, where that is gone."""
    if "rouge" in sys.modules or find_spec("rouge") is None or find_spec(_PKG_RESOURCES):
        yield False
        return
    # What py-rouge imports comes first, outside the stand-in's reach.
    import nltk  # noqa: F401

    stand_in = ModuleType(_PKG_RESOURCES)
    stand_in.__dict__["resource_filename"] = resource_filename
    sys.modules[_PKG_RESOURCES] = stand_in
    try:
        __import__("rouge")
    finally:
        sys.modules.pop(_PKG_RESOURCES, None)
    yield True


@around(
    _NARRATIVE_QA,
    why="its import downloads nltk's data, and every command of AllenNLP imports it",
)
def nltk_download() -> Iterator[bool]:
    """Download nothing during the import; where the data is missing, nltk says so when asked."""
    import nltk

    original, importer = nltk.download, threading.get_ident()

    @wraps(original)
    def download(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == importer:
            return False
        return original(*args, **kwargs)

    nltk.download = download
    try:
        yield True
    finally:
        nltk.download = original
