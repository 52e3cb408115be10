"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..errors import JobError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_file(path: Path, content: bytes, aside: Path | None = None) -> None:
    """Writes a file: aside, to the disk, then under its name.

    Args:
        path: The file.
        content: What it holds.
        aside: Where it is written first, on the same disk; beside the file by default.

    Raises:
        JobError: If it cannot be written; what was there under the name before is there still.
    """
    aside = aside or aside_of(path)
    with telling(path):
        try:
            # What lies there is a killed process's, or a link that somebody laid.
            aside.unlink(missing_ok=True)
            with opened_itself(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
        sync_folder(path.parent)


def aside_of(path: Path) -> Path:
    """Where a file is written before it is there."""
    return path.with_name(f".{path.name}.writing")


def opened_itself(path: Path, flags: int) -> IO[bytes]:
    """Opens a file to write into it; never what a link leads to, and never a pipe or a device,
    which would wait for a reader.

    Args:
        path: The file.
        flags: As for `os.open`.

    Raises:
        OSError: If it is none, or cannot be opened.
    """
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    safe |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags | safe, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        return os.fdopen(number, "ab" if flags & os.O_APPEND else "wb")
    except BaseException:
        os.close(number)
        raise


def read_file(path: Path) -> bytes:
    """What a file holds.

    Raises:
        OSError: If it cannot be read, or is a pipe or a device, which might never end.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return path.read_bytes()


def remove_file(path: Path) -> None:
    """Removes a file, also from the disk; it need not be there.

    Raises:
        JobError: If it cannot be removed.
    """
    with telling(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Brings to the disk which files a folder has; some systems do so by themselves, and refuse."""
    with suppress(PermissionError, NotImplementedError):
        number = os.open(path, os.O_RDONLY)
        try:
            with suppress(OSError):
                os.fsync(number)
        finally:
            os.close(number)


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Makes a sentence of what the system says when a file cannot be written.

    Raises:
        JobError: In the place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno not in _FULL:
            raise JobError(f"cannot write {path}: {reason}") from error
        raise JobError(
            f"cannot write {path}: {reason} ({_free(path)}). What is complete is kept: make room, "
            "and the same command goes on from there"
        ) from error


def _free(path: Path) -> str:
    try:
        free = float(shutil.disk_usage(path.parent).free)
    except OSError:
        return "free space not known"
    for unit in ("bytes", "KB", "MB", "GB"):
        if free < 1000 or unit == "GB":
            return f"{free:,.0f} {unit} free"
        free = free / 1000
    raise AssertionError
