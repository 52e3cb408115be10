"""Loading archives: safely, with clear errors, and with the transformer that they carry."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from ..registry import after, replace
from .errors import errors_named
from .own_transformers import own_transformers
from .source import ArchiveSource, current_source, source_of, within
from .unpacking import unpack


@after(
    "allennlp.models.archival",
    why="load_archive unpacks tar files without a limit, and a member named ../x lands outside",
)
def archive_extraction(module: Any) -> bool:
    """Unpack files and folders alone, below one folder, and leave nothing behind on failure."""

    @contextmanager
    def extracted_archive(resolved_archive_file: Any, cleanup: bool = True) -> Iterator[str]:
        folder = tempfile.mkdtemp()
        source = current_source()
        try:
            unpack(resolved_archive_file, folder, source.name if source else None)
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
    why="an archive's configuration reads any file and the environment, and names any callable as "
    "a type; errors name a temporary folder that is gone",
)
def archive_loading(module: Any) -> bool:
    """Load an archive under the rules of `SECURITY.md`."""
    from .configuration import parsed_overrides, read_config

    def load(
        folder: str, source: ArchiveSource, given: dict[str, Any], device: int, weights: Any
    ) -> Any:
        _check_vocabulary(folder)
        weights_path = weights or module.get_weights_path(folder)
        config = read_config(folder, given, source)
        readers = module._load_dataset_readers(config.duplicate(), folder)
        model = module._load_model(config.duplicate(), weights_path, folder, device)
        return module.Archive(model, config, *readers, _meta(module, folder))

    @wraps(module.load_archive)
    def load_archive(
        archive_file: str | os.PathLike[str],
        cuda_device: int = -1,
        overrides: str | dict[str, Any] = "",
        weights_file: str | None = None,
    ) -> Any:
        resolved = module.cached_path(archive_file)
        given = parsed_overrides(overrides)
        source = source_of(os.fspath(archive_file), given)
        module.logger.info("loading archive file %s from %s", source.name, resolved)
        with ExitStack() as stack:
            stack.enter_context(within(source))
            folder = resolved
            if not os.path.isdir(resolved):
                folder = stack.enter_context(module.extracted_archive(resolved))
            stack.enter_context(errors_named(source.name, folder))
            archive = load(folder, source, given, cuda_device, weights_file)
            if archive.meta is not None:
                module._check_version_compatibility(source.name, archive.meta)
        return archive

    replace(module, "load_archive", load_archive)
    return True


def _check_vocabulary(folder: str) -> None:
    """AllenNLP would unpack a file in the vocabulary's place, and empty what a lock links to."""
    from allennlp.common.checks import ConfigurationError

    vocabulary = Path(folder) / "vocabulary"
    if vocabulary.exists() and not vocabulary.is_dir():
        raise ConfigurationError("its member 'vocabulary' is no folder")
    lock = vocabulary / ".lock"
    # In the cache of the hub every file is a link, and an empty one can lose nothing.
    if lock.is_symlink() and not (lock.is_file() and lock.stat().st_size == 0):
        raise ConfigurationError("its member 'vocabulary/.lock' is a link to something")


def _meta(module: Any, folder: str) -> Any:
    from allennlp.common.checks import ConfigurationError

    path = os.path.join(folder, module.META_NAME)
    if not os.path.exists(path):
        return None
    try:
        meta = module.Meta.from_path(path)
        module._parse_version(meta.version)
    except Exception as error:
        raise ConfigurationError(
            f"its {module.META_NAME} cannot be read: {type(error).__name__}: {error}"
        ) from error
    return meta


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
    why="torch's message about weights that are more than tensors recommends to run their code, "
    "and those about damaged weights name no file",
)
def refused_weights(module: Any) -> bool:
    """Say that a weights file with pickled code, or a damaged one, was not loaded."""
    from allennlp.common.checks import ConfigurationError
    from torch import OutOfMemoryError

    original = module.read_state_dict

    @wraps(original)
    def read_state_dict(path: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            state = original(path, *args, **kwargs)
        except (FileNotFoundError, MemoryError, OutOfMemoryError):
            raise
        except Exception as error:
            if isinstance(error, ValueError) and (args or kwargs.keys() - {"cuda_device"}):
                raise  # about the prefix or the names to leave out
            raise ConfigurationError(_refusal(path, error)) from error
        if not all(isinstance(key, str) for key in state):
            raise ConfigurationError(
                f"The weights file {path} was not loaded: it is no state dict, "
                "its keys are no names."
            )
        return state

    replace(module, "read_state_dict", read_state_dict)
    return True


def _refusal(path: Any, error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "nsupported" in line] or lines[:1]
    said = f"(torch says: {type(error).__name__}: {' '.join(telling):.300})"
    if isinstance(error, UnpicklingError) and "Unsupported operand" not in said:
        return (
            f"The weights file {path} was not loaded: it holds pickled objects other than "
            "tensors, and reading them could run code. Get the archive from its author again; "
            f"if it is your own, save `model.state_dict()` and nothing else with torch.save. {said}"
        )
    return (
        f"The weights file {path} was not loaded: it is damaged, or torch.save did not write it. "
        f"Get it again. {said}"
    )
