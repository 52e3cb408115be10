"""How a run of the command ends before its time, and how it keeps quiet."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils import logging as transformers_logging

INTERRUPTED, TERMINATED, CLOSED = 128 + 2, 128 + 15, 128 + 13
"""Exit statuses, as shells give them to commands that SIGINT, SIGTERM or SIGPIPE ended."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came. AllenNLP's command makes an `Exception` of it, which would be taken for an
    error of the input that is being interpreted."""


@contextmanager
def terminating() -> Iterator[None]:
    """Makes SIGTERM end what runs, as Ctrl-C does; takes it back afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are another thread's
        return

    def end(number: int, frame: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


@contextmanager
def quiet(silent: bool) -> Iterator[None]:
    """Logs nothing below errors and shows no bar of transformers', unless AllenNLP's variables ask
    for a level.

    Args:
        silent: Whether to do so at all.
    """
    asked = os.environ.get("ALLENNLP_DEBUG") or os.environ.get("ALLENNLP_LOG_LEVEL")
    if not silent or asked:
        yield
        return
    before, bars = logging.root.manager.disable, transformers_logging.is_progress_bar_enabled()
    logging.disable(max(before, logging.WARNING))
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.disable(before)
        if bars:
            transformers_logging.enable_progress_bar()
