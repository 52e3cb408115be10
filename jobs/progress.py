"""How far a job is: one line on a terminal, elsewhere a line every 30 seconds."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import Self

from tqdm import tqdm

from .parts.part import Part

EVERY = 30.0


class Progress:
    """Inputs, tokens per second, time left, errors.

    Args:
        total: How many inputs there are.
        done: How many were done before.
        failed: How many of these had an error.
        command: What messages begin with.
        silent: Whether to show nothing.
    """

    def __init__(
        self, total: int, done: int = 0, failed: int = 0, command: str = "", silent: bool = False
    ) -> None:
        self._total = total
        self._before = self._done = done
        self._failed = failed
        self._within = 0.0
        self._tokens = 0
        self._command = command
        self._silent = silent
        self._began = time.monotonic()
        self._ended = threading.Event()
        terminal = bool(getattr(sys.stderr, "isatty", bool)())
        self._bar = (
            tqdm(total=total, initial=done, unit="input", desc=command or None, leave=False)
            if terminal and not silent
            else None
        )

    def __enter__(self) -> Self:
        if self._bar is None and not self._silent:
            threading.Thread(target=self._tell, name="progress of a job", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._bar is not None:
            self._bar.close()

    def within(self, inputs: float) -> None:
        """Takes about how many inputs of the part at work are explained; none counts as done
        before its part is."""
        self._within = inputs
        self._show()

    def add(self, part: Part) -> None:
        """Counts a part that is done."""
        self._within = 0.0
        self._done += part.statistics.get("inputs", 0)
        self._failed += part.statistics.get("failed", 0)
        self._tokens += part.tokens
        if self._bar is not None:
            self._bar.set_postfix({"tokens/s": self._rate(), "errors": self._failed}, refresh=False)
        self._show()

    def _show(self) -> None:
        if self._bar is not None:
            # The bar takes no step back where a part had fewer inputs than it was told.
            self._bar.update(max(self._reached() - self._bar.n, 0))

    def _reached(self) -> int:
        """How many inputs are explained, those of the part at work included."""
        return min(self._done + int(self._within), self._total)

    def _tell(self) -> None:
        """A line every 30 seconds, also while one part takes long."""
        while not self._ended.wait(EVERY):
            say(self._command, self.line())

    def line(self) -> str:
        """`1,024 of 20,000 inputs, 35,210 tokens/s, 4 min left, 0 errors`."""
        errors = f"{self._failed:,} error{'' if self._failed == 1 else 's'}"
        return (
            f"{self._reached():,} of {self._total:,} inputs, {self._rate()} tokens/s, "
            f"{self._left()} left, {errors}"
        )

    def _rate(self) -> str:
        """Tokens per second of the parts that are done, `?` before the first."""
        if not self._tokens:
            return "?"
        return f"{self._tokens / max(time.monotonic() - self._began, 1e-9):,.0f}"

    def _left(self) -> str:
        done = self._done + self._within - self._before
        if not done:
            return "?"
        left = self._total - self._before - done
        seconds = (time.monotonic() - self._began) / done * max(left, 0)
        if seconds < 90:
            return f"{seconds:.0f} s"
        return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def printable(text: str) -> str:
    """A text that a terminal shows and does not obey: names of files, classes and columns may be
    made to clear it, or to write something else over a line."""
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape").decode()
        for one in text
    )


def say(command: str, text: str) -> None:
    """Writes a line to the standard error; if nobody reads it, that is no error."""
    with suppress(OSError, ValueError, AttributeError):
        text = printable(text)
        sys.stderr.write(f"{command}: {text}\n" if command else f"{text}\n")
        sys.stderr.flush()
