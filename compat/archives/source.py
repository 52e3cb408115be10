"""Which archive is being loaded in this context, what its user has allowed it, and its transformer.

An archive made with `"include_in_archive": ["transformer"]` whose config says
`"model_name": "transformer"` loads offline and from any working folder. Its `weights.th` holds all
weights, so that folder needs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

REMOTE_CODE = "trust_remote_code"
_DEEPEST = 8  # archives that load archives that load archives


@dataclass(frozen=True)
class ArchiveSource:
    """An archive whose configuration is not the user's own.

    Args:
        name: The archive as its user named it.
        named_by_user: The strings in the user's overrides. A class that is named there is looked
            up as AllenNLP does.
        runs_code: Whether the user allows Python files of the archive, or of a model on the hub
            that it names, to run.
        reads_pickles: Whether the user allows weights that are more than tensors.
    """

    name: str
    named_by_user: frozenset[str] = field(default=frozenset(), repr=False)
    runs_code: bool = False
    reads_pickles: bool = False


class ArchiveText(str):
    """A text of an archive's configuration, which may be the name of a class.

    Attributes:
        archive_source: The archive.
    """

    archive_source: ArchiveSource

    @classmethod
    def of(cls, text: str, source: ArchiveSource) -> str:
        """The text, which remembers the archive where it can be the full name of a class."""
        if "." not in text:
            return text
        found = cls(text)
        found.archive_source = source
        return found


# The archives that are being loaded, the innermost last. A context variable, so that a model that
# another thread builds meanwhile is not concerned.
_loading: ContextVar[tuple[ArchiveSource, ...]] = ContextVar("loading_archives", default=())


def current_source() -> ArchiveSource | None:
    """The archive that is being loaded in this context; None if there is none."""
    sources = _loading.get()
    return sources[-1] if sources else None


@contextmanager
def within(source: ArchiveSource) -> Iterator[None]:
    """Holds what is built in this context to the rules for that archive.

    Raises:
        allennlp.common.checks.ConfigurationError: If archives name one another without an end.
    """
    sources = _loading.get()
    if len(sources) >= _DEEPEST:
        raise refusal(source.name, f"archives name one another, {_DEEPEST} deep.")
    token = _loading.set((*sources, source))
    try:
        yield
    finally:
        _loading.reset(token)


def source_of(name: str, overrides: Mapping[str, Any]) -> ArchiveSource:
    """What the user allows an archive, by their overrides.

    The overrides of an archive that is loaded because another archive names it come from that one,
    so they allow nothing; it is allowed what the outer one is.

    Args:
        name: The archive as its user named it.
        overrides: The overrides, parsed.
    """
    outer = current_source()
    if outer is not None:
        return replace(outer, name=name)
    entries = [(name.rpartition(".")[2], item) for _, name, item in settings(overrides)]
    return ArchiveSource(
        name,
        frozenset(item for _, item in entries if isinstance(item, str)),
        runs_code=any(key == REMOTE_CODE and item is True for key, item in entries),
        reads_pickles=any(key == "weights_only" and item is False for key, item in entries),
    )


def settings(value: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """All entries of nested parameters: the path to each, its name and its value."""
    if not isinstance(value, Mapping | list):
        return
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield f"{path}{key}", str(key), item
        yield from settings(item, f"{path}{key}.")


def refusal(name: str, reason: str) -> Exception:
    """The error that says why the archive of this name was not loaded."""
    from allennlp.common.checks import ConfigurationError

    return ConfigurationError(f"The archive {name} was not loaded: {reason}")


# `model_name`, or as models of allennlp-models call it: `bert_model`, `transformer_model_name`.
_FIELD = re.compile(r"(^|_)model(_name)?$")
# The folders whose weights come from the archive's own weights file, while that is being loaded.
_own_folders: ContextVar[frozenset[str]] = ContextVar("own_folders", default=frozenset())


def is_own_folder(model_name: str) -> bool:
    """Whether this folder belongs to the archive that is being loaded right now."""
    return model_name in _own_folders.get()


@contextmanager
def own_transformers(config: Any, serialization_dir: Any) -> Iterator[Any]:
    """The archive's config with every field that names a folder of the archive located.

    AllenNLP removes the extracted archive afterwards, so nothing may stay in its caches under a
    name that no longer exists, or that names something else by then.

    Args:
        config: the archive's `Params`, overrides included.
        serialization_dir: the extracted archive, or the folder that is used as one.
    """
    from allennlp.common import cached_transformers

    folders: set[str] = set()
    located = _locate(config.as_dict(quiet=True), Path(serialization_dir), folders)
    if folders:
        # The same kind of parameters, which may remember where they are from.
        config = copy(config)
        config.params = located
    token = _own_folders.set(_own_folders.get() | folders)
    try:
        yield config
    finally:
        _own_folders.reset(token)
        caches: Any = (cached_transformers._model_cache, cached_transformers._tokenizer_cache)
        for cache in caches:
            for key in [key for key in cache if key[0] in folders]:
                cache.pop(key, None)


def _locate(value: Any, root: Path, folders: set[str], key: str = "") -> Any:
    """The value with folders of the archive in the place of their names; they are collected."""
    if isinstance(value, dict):
        return {name: _locate(item, root, folders, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_locate(item, root, folders) for item in value]
    if isinstance(value, str) and _FIELD.search(key) and not Path(value).is_absolute():
        folder, top = (root / value).resolve(), root.resolve()
        if folder.is_relative_to(top) and folder != top and folder.is_dir():
            folders.add(str(folder))
            return str(folder)
    return value
