"""No output over what is read: the input, the archive with all its members, the weights."""

from __future__ import annotations

import argparse
import glob
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path

STANDARD_INPUT = "-"


def check_outputs(args: argparse.Namespace) -> None:
    """Refuses an output that is also read, whatever names lead to the file.

    Files are compared as they will be read: `cached_path` knows `file://`, `~` and URLs.

    Args:
        args: The command's arguments.

    Raises:
        ConfigurationError: If the output file or the standard output is the input, the archive
            or a file of it, or the weights; if the output file is in the archive's folder; or if
            the input or the archive is missing.
    """
    outputs = [] if args.silent else [("the standard output", _of_stream(sys.stdout))]
    if args.output_file:
        archive = resolved("the archive", args.archive_file)
        if os.path.isdir(archive) and _is_in(args.output_file, archive):
            raise ConfigurationError(
                f"--output-file {args.output_file} is in the folder {args.archive_file}, which is "
                "the archive: its own files could be written over, or new ones be taken for a part "
                "of it; nothing was written. Name a file outside that folder"
            )
        outputs.append((f"--output-file {args.output_file}", _of_path(args.output_file)))
    # Two ends of a terminal, or of /dev/null, are no file that could be written over.
    files = [(name, found) for name, found in outputs if found and stat.S_ISREG(found.st_mode)]
    if not files:
        return
    for what, read in _all_read(args):
        for name, written in files:
            if os.path.samestat(read, written):
                raise ConfigurationError(
                    f"{name} is the same file as {what}, and writing would overwrite it; nothing "
                    "was written. Name another file"
                )


def resolved(what: str, path: str) -> str:
    """The file or folder that will be read under a name: of a URL the copy in the cache.

    Args:
        what: What the name stands for, for messages.
        path: The name.

    Raises:
        ConfigurationError: If there is none.
    """
    try:
        return cached_path(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{what} {path} cannot be read: {error}") from error


def _all_read(args: argparse.Namespace) -> Iterator[tuple[str, os.stat_result]]:
    """What the command will read, as far as that is known beforehand."""
    if args.input_file == STANDARD_INPUT:
        yield from _existing("the input", _of_stream(sys.stdin))
    elif args.use_dataset_reader:
        for path in _for_reader(args.input_file):
            yield from _files("the input", path)
    else:
        yield from _files("the input", resolved("the input", args.input_file))
    yield from _files("the archive", resolved("the archive", args.archive_file))
    if args.weights_file:
        yield from _existing("--weights-file", _of_path(args.weights_file))


def _for_reader(name: str) -> list[str]:
    """What a dataset reader may read: the name as it is, the files that it matches, or what
    `cached_path` finds. Readers may take names that are no files at all."""
    found = [name, *glob.glob(name)]
    with suppress(OSError, ValueError):
        found.append(cached_path(name))
    return found


def _files(name: str, path: str) -> Iterator[tuple[str, os.stat_result]]:
    """A file; or all files of a folder, links followed."""
    yield from _existing(name, _of_path(path))
    for folder, _, members in os.walk(path):
        for member in members:
            file = Path(folder, member)
            shown = f"{name}'s file {str(file.relative_to(path))!r}"
            yield from _existing(shown, _of_path(file))


def _existing(name: str, found: os.stat_result | None) -> Iterator[tuple[str, os.stat_result]]:
    if found is not None:
        yield name, found


def _is_in(path: str, folder: str) -> bool:
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def _of_path(path: str | os.PathLike[str]) -> os.stat_result | None:
    """The file that a path leads to, links followed; None if there is none, or none to be seen."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _of_stream(stream: Any) -> os.stat_result | None:
    """The file behind a stream; None if it is closed, or no file of the system's."""
    try:
        return os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None
