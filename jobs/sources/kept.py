"""What can be read only once, written into a file, so that it can be read again."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance

from allennlp_saliency.predictors.saliency.json_lines import to_jsonable

_CHUNK = 1 << 20


def kept(chunks: Iterable[bytes], keep: Path, name: str) -> str:
    """Writes what is read once, and gives the file's path.

    Where the file is there from before, it is taken: what is read now must be the same, or nothing,
    as for a process that goes on without the pipe.

    Args:
        chunks: What is read.
        keep: The file.
        name: What messages call it.

    Raises:
        ConfigurationError: If something else is there from before.
        OSError: If the file cannot be written.
    """
    keep.parent.mkdir(parents=True, exist_ok=True)
    aside = keep.with_name(f"{keep.name}.{os.getpid()}.part")
    try:
        length = 0
        with open(aside, "wb") as file:
            for chunk in chunks:
                length += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if not keep.exists():
            os.replace(aside, keep)
        elif length and _hash(aside) != _hash(keep):
            raise ConfigurationError(
                f"{name} has other content than when the job began, which is kept in {keep}: name "
                "another --output, or start anew with --overwrite"
            )
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return str(keep)


def standard_input() -> Iterator[bytes]:
    """What comes from the standard input; nothing from a terminal or a closed one."""
    stream: BinaryIO | None = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.isatty():
        return
    while chunk := stream.read(_CHUNK):
        yield chunk


def read_once(path: str) -> Iterator[bytes]:
    """What comes out of a pipe that has a name."""
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def as_lines(rows: Iterable[Any], key: str | None) -> Iterator[bytes]:
    """Inputs as lines of JSON.

    Args:
        rows: Objects; texts, where there is a key for them.
        key: The key.

    Raises:
        ConfigurationError: If one is an instance, which no file can hold.
    """
    for row in rows:
        if isinstance(row, Instance):
            raise ConfigurationError(
                "a generator of instances cannot be read again; give a list of them"
            )
        known = {key: row} if isinstance(row, str) and key is not None else row
        content = known if isinstance(known, Mapping) else to_jsonable(known)
        yield (json.dumps(to_jsonable(content)) + "\n").encode()


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
