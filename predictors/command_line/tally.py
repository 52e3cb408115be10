"""What a run of the command has done, for people who wait for it and for those who read its end."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

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
