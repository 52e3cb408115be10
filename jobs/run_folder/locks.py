"""Who works in the folder of a run: one process on the same parts."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import JobError
from .durable import opened_itself, telling

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""What systems say whose disk has no locks, as some of clusters."""
_WHOLE = "whole"
_FINISHING = "finishing"


class Locks:
    """The locks of a run: files that the system frees when their process ends, however it does.

    Args:
        folder: Where they are.

    Raises:
        JobError: If the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with telling(folder):
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def parts(self, shard: tuple[int, int] | None) -> Iterator[None]:
        """Holds the parts of a shard, or all of them.

        Raises:
            JobError: If another process holds some of them.
        """
        whole = self._open(_WHOLE)
        own = self._open(_name(shard)) if shard else None
        try:
            free = _lock(whole, shared=shard is not None)
            if free and own is not None and shard is not None:
                free = _lock(own) and not self._other_cut(shard[1])
            if not free:
                raise JobError(
                    f"another process is at work on these parts in {self._folder.parents[1]}: "
                    "wait for it, or end it; shards of one run (--shard 0/2, --shard 1/2) may "
                    "share a folder"
                )
            yield
        finally:
            for file in (whole, own):
                if file is not None:
                    file.close()

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Waits until no other process writes the summary."""
        file = self._open(_FINISHING)
        try:
            _lock(file, wait=True)
            yield
        finally:
            file.close()

    def _other_cut(self, count: int) -> bool:
        """Whether a process holds a shard of another number of shards."""
        for path in self._folder.glob("shard-*-of-*"):
            if path.name.endswith(f"-of-{count}"):
                continue
            with self._open(path.name) as file:
                if not _lock(file):
                    return True
        return False

    def _open(self, name: str) -> IO[bytes]:
        path = self._folder / name
        with telling(path):
            return opened_itself(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _name(shard: tuple[int, int]) -> str:
    return f"shard-{shard[0]}-of-{shard[1]}"


def _lock(file: IO[bytes], shared: bool = False, wait: bool = False) -> bool:
    """Takes a lock; False if another process has it."""
    if os.name != "posix":
        return True
    import fcntl

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning("%s cannot be locked (%s): start no second process", file.name, error)
    return True
