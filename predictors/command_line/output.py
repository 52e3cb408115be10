"""Where the command's lines go: a file without a line that is cut off, and the console; what the
run has done, for people who wait for it."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO

from tqdm import tqdm

_COMMAND = "allennlp predict"
_EVERY = 30.0


def say(text: str) -> None:
    """Writes a line to the standard error; if nobody reads it, that is no error."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{_COMMAND}: {text}\n")
        sys.stderr.flush()


class Tally:
    """How many inputs were done, and how many of them are errors.

    Attributes:
        inputs: Inputs that were done.
        errors: How many of them are errors.
        total: How many there are; None if that is not known.
    """

    def __init__(self, total: int | None = None) -> None:
        self.inputs = 0
        self.errors = 0
        self.total = total
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    def add(self, failed: bool) -> None:
        """Counts an input."""
        self.inputs += 1
        self.errors += failed

    def summary(self, with_total: bool = False) -> str:
        """`64 inputs, 2 errors, 3.1 s`; with the total `12 of 64 inputs, …` where it is known."""
        of = f"{self.inputs} of {self.total}" if with_total and self.total else f"{self.inputs}"
        plural = "" if of == "1" else "s"
        errors = f"{self.errors} error{'' if self.errors == 1 else 's'}"
        return f"{of} input{plural}, {errors}, {self.seconds:.1f} s"


class Progress:
    """A bar where the standard error is a terminal, elsewhere a line every 30 seconds.

    Args:
        tally: What was done.
        silent: Whether to show neither.
        lines: Whether to write lines on a terminal, too.
    """

    def __init__(self, tally: Tally, silent: bool = False, lines: bool = False) -> None:
        self._tally = tally
        self._silent = silent
        self._said = tally.seconds
        terminal = bool(getattr(sys.stderr, "isatty", bool)()) and not lines
        self._bar = (
            tqdm(total=tally.total, unit="input", desc=_COMMAND, file=sys.stderr, leave=False)
            if terminal and not silent
            else None
        )

    def update(self) -> None:
        """Shows what the tally has."""
        if self._bar is not None:
            self._bar.set_postfix(errors=self._tally.errors, refresh=False)
            self._bar.update(self._tally.inputs - self._bar.n)
        elif not self._silent and self._tally.seconds - self._said >= _EVERY:
            self._said = self._tally.seconds
            say(self._tally.summary(with_total=True))

    def hide(self) -> None:
        """Makes room for what is printed to the same terminal."""
        if self._bar is not None:
            self._bar.clear()

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()


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
