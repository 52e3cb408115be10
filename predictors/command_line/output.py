"""Where the command's lines go: a file without a line that is cut off, and the console."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO


class OutputError(Exception):
    """A line cannot be written; the message says where and why."""


class ConsoleClosed(Exception):
    """Whoever read the standard output has gone (`| head`)."""


class OutputFile:
    """A file of lines that is opened when its first line is there, so that a run which fails
    before leaves an older file as it was. After an error it ends with a whole line.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: FileIO | None = None
        self._whole = 0

    @property
    def opened(self) -> bool:
        """Whether it was opened, which empties an older file."""
        return self._file is not None

    def write(self, line: str) -> None:
        """Adds a line.

        Raises:
            OutputError: If it cannot be written; what was written of it is taken back.
        """
        file = self.open()
        rest = memoryview(line.encode("utf-8", "backslashreplace"))
        size = len(rest)
        with self._named():
            while rest:
                rest = rest[file.write(rest) :]
        self._whole += size

    def open(self) -> FileIO:
        """Opens the file if it is not open yet.

        Raises:
            OutputError: If it cannot be opened.
        """
        if self._file is None:
            with self._named():
                self._file = FileIO(self.path, "w")
        assert self._file is not None
        return self._file

    def close(self) -> None:
        """Closes the file behind its last whole line."""
        if self._file is None or self._file.closed:
            return
        with self._named():
            # A device has nothing to take back.
            if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._file.truncate(self._whole)
            self._file.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write to {self.path}: {reason}") from error


class Console:
    """The standard output, which shows inputs and predictions as AllenNLP's command does.

    Its methods raise `ConsoleClosed` if nobody reads any more, and `OutputError` if it cannot be
    written otherwise.
    """

    def show(self, number: int, given: str, line: str) -> None:
        """Prints an input, by its number from 0, and the line of the output."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        given = given.encode(encoding, "backslashreplace").decode(encoding)
        self._do(lambda: print(f"input {number}:  {given}\nprediction:  {line}"))

    def flush(self) -> None:
        """Hands on what was printed."""
        self._do(lambda: sys.stdout is None or sys.stdout.flush())

    def _do(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            _discard_the_rest()
            if isinstance(error, BrokenPipeError):
                raise ConsoleClosed from error
            reason = error.strerror or error
            raise OutputError(f"cannot write to the standard output: {reason}") from error


def _discard_the_rest() -> None:
    """Lets Python's own last flush succeed, which would otherwise fail with a traceback."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)
