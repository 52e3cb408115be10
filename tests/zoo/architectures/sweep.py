"""Checks in processes of their own, so that one that dies or hangs is a row and not the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from typing import Any

from .result import Result
from .tables import Pair

SECONDS = 180.0
#: What a process may take to import everything, on a busy machine.
_START = 300.0
#: A process is replaced after so many pairs: what models leave behind adds up.
PAIRS = 80


def sweep(
    pairs: Sequence[Pair],
    processes: int = 2,
    limit: float = SECONDS,
    check: Callable[[Pair], Result] | None = None,
) -> Iterator[Result]:
    """The results of pairs, as they come.

    Args:
        pairs: Which.
        processes: How many processes.
        limit: Seconds that one pair may take.
        check: What checks a pair; None for `checks.check`.
    """
    todo: queue.SimpleQueue[Pair] = queue.SimpleQueue()
    done: queue.SimpleQueue[Result] = queue.SimpleQueue()
    for pair in pairs:
        todo.put(pair)
    workers = [
        threading.Thread(target=_serve, args=(todo, done, limit, check), daemon=True)
        for _ in range(min(processes, len(pairs)))
    ]
    for worker in workers:
        worker.start()
    for _ in pairs:
        yield done.get()


def _serve(todo: Any, done: Any, limit: float, check: Any) -> None:
    """Gives pairs to a process, one after the other, and gets a new one when it is lost."""
    worker: _Worker | None = None
    while True:
        try:
            pair = todo.get_nowait()
        except queue.Empty:
            break
        worker = worker or _Worker(check)
        result = worker.check(pair, limit)
        done.put(result)
        if worker.spent:
            worker.stop()
            worker = None
    if worker is not None:
        worker.stop()


class _Worker:
    """A process that checks pairs."""

    def __init__(self, check: Any) -> None:
        context = get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_work, args=(there, check), daemon=True)
        self._process.start()
        there.close()
        self._count = 0
        self.spent = False

    def check(self, pair: Pair, limit: float) -> Result:
        self._count += 1
        self.spent = self._count >= PAIRS
        try:
            if self._count == 1 and self._here.poll(_START):
                # It has said that it is there.
                self._here.recv()
            self._here.send(pair)
            if self._here.poll(limit):
                return self._here.recv()
            why = f"it was not done after {limit:.0f} seconds"
        except (EOFError, OSError):
            self._process.join(5)
            why = f"the process died (exit code {self._process.exitcode})"
        self.spent = True
        result = Result(pair.name, pair.class_name)
        result.note("crash", "", why)
        return result

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()


def _work(there: Any, check: Any) -> None:
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import torch

    torch.set_num_threads(1)
    if check is None:
        from .checks import check

    there.send(None)
    while True:
        pair = there.recv()
        there.send(check(pair))
