"""Archives that carry their transformer: a folder with its configuration and tokenizer.

An archive made with `"include_in_archive": ["transformer"]` whose config says
`"model_name": "transformer"` loads offline and from any working folder. Its `weights.th` holds all
weights, so that folder needs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from pathlib import Path
from typing import Any

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
