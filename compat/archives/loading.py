"""Loading archives: safely, with clear errors, and with the transformer that they carry."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from ..registry import Original, after, patch, replace, wrap
from .source import current_source, own_transformers, source_of, within
from .unpacking import unpack

# What classes and libraries raise for a value that does not fit them.
_UNFIT = (TypeError, ValueError, LookupError, AttributeError, ImportError)


@contextmanager
def errors_named(name: str, folder: str) -> Iterator[None]:
    """Says in an error which archive was not loaded, and which of its members was at fault.

    Args:
        name: The archive as its user named it.
        folder: Where it is unpacked, which will be gone when the message is read.

    Raises:
        allennlp.common.checks.ConfigurationError: For a fault of the archive: of its
            configuration (with the overrides), a member that it lacks, or what a library says
            of a value or a member. Other errors pass as they are, with a note.
    """
    from allennlp.common.checks import ConfigurationError

    try:
        yield
    except ConfigurationError as error:
        error.message = _named(error.message, name, folder)
        raise
    except MemoryError:
        raise
    except FileNotFoundError as error:
        member = _member(error, folder)
        if member is None:
            error.add_note(f"This happened while the archive {name} was loaded.")
            raise
        raise ConfigurationError(_named(f"it has no member {member!r}", name, folder)) from None
    except UnpicklingError as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        reason = f"a weights file that it names holds more than tensors ({last})"
        raise ConfigurationError(_named(reason, name, folder)) from error
    except Exception as error:
        text = str(error)
        if _without(folder, text) == text and not isinstance(error, _UNFIT):
            error.add_note(f"This happened while the archive {name} was loaded.")
            raise
        reason = f"{type(error).__name__}: {text}"
        raise ConfigurationError(_named(reason, name, folder)) from error


def _named(reason: str, name: str, folder: str) -> str:
    """The reason behind the archive's name, which may be the folder's and is said once."""
    start = f"The archive {name} was not loaded: "
    before, _, rest = reason.rpartition(start)
    return f"{_without(folder, before)}{start}{_without(folder, rest)}"


def _member(error: FileNotFoundError, folder: str) -> str | None:
    """Which file of the archive was looked for."""
    for one in _spellings(folder):
        for text in (os.fspath(error.filename or ""), str(error)):
            if one in text:
                rest = text.partition(one)[2].lstrip("/")
                found = rest.removesuffix(" not found").strip("'\"")
                # Where there is no weights.th, AllenNLP looks for what training has left.
                return "weights.th" if found == "best.th" else found
    return None


def _without(folder: str, text: str) -> str:
    for one in _spellings(folder):
        text = text.replace(f"{one}/", "").replace(one, "the archive")
    return text


def _spellings(folder: str) -> list[str]:
    spelled = {str(folder).rstrip("/"), str(Path(folder).resolve())}
    return sorted((one for one in spelled if len(one) > 1), key=len, reverse=True)


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
        keep = False
        try:
            unpack(resolved_archive_file, folder, source.name if source else None)
            keep = not cleanup
            yield folder
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    replace(module, "extracted_archive", extracted_archive)
    return True


@patch(
    "allennlp.models.archival",
    "load_archive",
    why="an archive's configuration reads any file and the environment, and names any callable as "
    "a type; errors name a temporary folder that is gone",
)
def archive_loading(
    original: Original,
    archive_file: str | os.PathLike[str],
    cuda_device: int = -1,
    overrides: str | dict[str, Any] = "",
    weights_file: str | None = None,
) -> Any:
    """Load an archive under the rules of `SECURITY.md`."""
    from allennlp.models import archival

    from .configuration import parsed_overrides, read_config

    resolved = archival.cached_path(archive_file)
    given = parsed_overrides(overrides)
    source = source_of(os.fspath(archive_file), given)
    archival.logger.info("loading archive file %s from %s", source.name, resolved)
    with ExitStack() as stack:
        stack.enter_context(within(source))
        folder = resolved
        if not os.path.isdir(resolved):
            folder = stack.enter_context(archival.extracted_archive(resolved))
        stack.enter_context(errors_named(source.name, folder))
        _check_vocabulary(folder)
        weights = weights_file or archival.get_weights_path(folder)
        config = read_config(folder, given, source)
        readers = archival._load_dataset_readers(config.duplicate(), folder)
        model = archival._load_model(config.duplicate(), weights, folder, cuda_device)
        meta = _meta(archival, folder)
        if meta is not None:
            archival._check_version_compatibility(source.name, meta)
    make: Any = archival.Archive
    return make(model, config, *readers, meta)


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

    def load_readers(original: Any, config: Any, serialization_dir: Any) -> Any:
        with own_transformers(config, serialization_dir) as located:
            return original(located, serialization_dir)

    def load_model(original: Any, config: Any, weights: Any, folder: Any, device: int) -> Any:
        with own_transformers(config, folder) as located:
            return original(located, weights, folder, device)

    wrap(module, "_load_dataset_readers", load_readers)
    wrap(module, "_load_model", load_model)
    return True


@patch(
    "allennlp.nn.util",
    "read_state_dict",
    why="torch's message about weights that are more than tensors recommends to run their code, "
    "and those about damaged weights name no file",
)
def refused_weights(original: Original, path: Any, *args: Any, **kwargs: Any) -> Any:
    """Say that a weights file with pickled code, or a damaged one, was not loaded."""
    from allennlp.common.checks import ConfigurationError
    from torch import OutOfMemoryError

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
            f"The weights file {path} was not loaded: it is no state dict, its keys are no names."
        )
    return state


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
