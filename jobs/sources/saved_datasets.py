"""Folders that `datasets` has saved."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError

from .rows import DatasetRows

_STATE = "state.json"
_SPLITS = "dataset_dict.json"


def saved_dataset(path: str, name: str) -> DatasetRows:
    """The rows of a folder that `save_to_disk` wrote.

    Args:
        path: The folder.
        name: What messages call it.

    Raises:
        ConfigurationError: If it is none, has several splits, cannot be read, or `datasets` is not
            installed.
    """
    folder = Path(path)
    if (folder / _SPLITS).is_file():
        raise ConfigurationError(
            f"{name} has several splits; name one: "
            f"{' or '.join(f'{name}/{one}' for one in _splits(folder))}"
        )
    if not (folder / _STATE).is_file():
        raise ConfigurationError(
            f"{name} is a folder, and none that save_to_disk of datasets wrote; name a file in it"
        )
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{name} is a folder of datasets: pip install datasets reads it"
        ) from error
    try:
        return DatasetRows(datasets.load_from_disk(path))
    except Exception as error:  # pyarrow's, json's, and its own
        raise ConfigurationError(f"the input {name} cannot be read: {error}") from error


def hash_of_saved(path: str) -> str:
    """The SHA-256 of a saved data set: of its files of rows, in their order."""
    folder = Path(path)
    files = json.loads((folder / _STATE).read_text(encoding="utf-8"))["_data_files"]
    seen = hashlib.sha256()
    for one in files:
        with open(folder / one["filename"], "rb") as file:
            seen.update(hashlib.file_digest(file, "sha256").hexdigest().encode())
    return seen.hexdigest()


def _splits(folder: Path) -> list[Any]:
    try:
        return list(json.loads((folder / _SPLITS).read_text(encoding="utf-8"))["splits"])
    except (OSError, ValueError, KeyError, TypeError):
        return sorted(one.parent.name for one in folder.glob(f"*/{_STATE}"))
