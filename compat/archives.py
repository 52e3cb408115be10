"""Loading archives: safely, and with the transformer that they carry."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from .own_transformers import own_transformers
from .registry import after, replace


def extract(archive_file: str, folder: str) -> None:
    """Extract a `.tar.gz` archive into a folder and nowhere else.

    Raises:
        allennlp.common.checks.ConfigurationError: a member points outside the folder, or is
            neither a file, nor a folder, nor a link within the folder.
    """
    from allennlp.common.checks import ConfigurationError

    with tarfile.open(archive_file, "r:gz") as archive:
        try:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(folder, filter="data")
            else:
                for member in archive.getmembers():
                    _check_member(member, folder)
                archive.extractall(folder)
        except (tarfile.TarError, _UnsafeMember) as error:
            raise ConfigurationError(
                f"The archive {archive_file} was not loaded, because it is not safe to extract: "
                f"{error}. Get the archive from its author again, or look at it with "
                f"`tar tzvf {archive_file}`."
            ) from error


class _UnsafeMember(Exception):
    pass


def _check_member(member: tarfile.TarInfo, folder: str) -> None:
    """The same question in a Python without tarfile's filters: early 3.11 releases."""
    root = Path(folder).resolve()
    if not (member.isfile() or member.isdir()):
        raise _UnsafeMember(f"{member.name!r} is neither a file nor a folder")
    if not (root / member.name).resolve().is_relative_to(root):
        raise _UnsafeMember(f"{member.name!r} would be written outside the destination")


@after(
    "allennlp.models.archival",
    why="load_archive extracts tar files without a filter: a member named ../x lands outside",
)
def archive_extraction(module: Any) -> bool:
    """Extract through tarfile's `data` filter, and leave nothing behind on failure."""

    @contextmanager
    def extracted_archive(resolved_archive_file: Any, cleanup: bool = True) -> Iterator[str]:
        folder = tempfile.mkdtemp()
        try:
            extract(str(resolved_archive_file), folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        try:
            yield folder
        finally:
            if cleanup:
                shutil.rmtree(folder, ignore_errors=True)

    replace(module, "extracted_archive", extracted_archive)
    return True


@after(
    "allennlp.models.archival",
    why="an archive may carry its transformer's configuration and tokenizer, so that it loads "
    "offline and from any folder",
)
def archived_transformers(module: Any) -> bool:
    """Point every relative `model_name` that names a folder of the archive at that folder."""
    load_readers, load_model = module._load_dataset_readers, module._load_model

    @wraps(load_readers)
    def _load_dataset_readers(config: Any, serialization_dir: Any) -> Any:
        with own_transformers(config, serialization_dir) as located:
            return load_readers(located, serialization_dir)

    @wraps(load_model)
    def _load_model(config: Any, weights_path: Any, serialization_dir: Any, device: int) -> Any:
        with own_transformers(config, serialization_dir) as located:
            return load_model(located, weights_path, serialization_dir, device)

    replace(module, "_load_dataset_readers", _load_dataset_readers)
    replace(module, "_load_model", _load_model)
    return True


@after(
    "allennlp.nn.util",
    why="torch's message about weights that are more than tensors recommends to run their code",
)
def refused_weights(module: Any) -> bool:
    """Say that a weights file with pickled code was not loaded, and what to do."""
    from allennlp.common.checks import ConfigurationError

    original = module.read_state_dict

    @wraps(original)
    def read_state_dict(path: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(path, *args, **kwargs)
        except UnpicklingError as error:
            raise ConfigurationError(
                f"The weights file {path} was not loaded: it holds pickled objects other than "
                "tensors, and reading them could run code. Get the archive from its author again; "
                "if it is your own, save `model.state_dict()` and nothing else with torch.save. "
                f"(torch says: {str(error).splitlines()[-1]})"
            ) from error

    replace(module, "read_state_dict", read_state_dict)
    return True
