"""Ctrl-C while a command imports what it needs, which takes seconds: one line and status 130, no
traceback. The commands themselves catch it, and say what they have done by then."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import PurePath
from types import TracebackType

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

_COMMANDS = ("allennlp", "allennlp-saliency")


def command(arguments: Sequence[str]) -> str | None:
    """The command that a process is, as it was typed: of the two that there are, also as a module
    (`python -m allennlp`); None for any other program.

    Args:
        arguments: What the process was started with, the interpreter first: `sys.orig_argv`.
    """
    for before, one in itertools.pairwise(arguments):
        if before == "-m":
            package = one.partition(".")[0]
            return f"python -m {one}" if package in ("allennlp", "allennlp_saliency") else None
        if one == "-c":
            return None
        if not one.startswith("-"):
            name = PurePath(one).name
            name = name.removesuffix(".exe").removesuffix("-script.py")
            return name if name in _COMMANDS else None
    return None


def end_quietly() -> None:
    """Lets Ctrl-C end this process in one line, if it is one of the commands; the user's own
    programs keep their hooks."""
    name = command(sys.orig_argv)
    if name is None or sys.excepthook is not sys.__excepthook__:
        return

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, traceback)
            return
        print(f"{name}: interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED)

    sys.excepthook = hook
