"""Errors while an archive is loaded name the archive and its member, never a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

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
