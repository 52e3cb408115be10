"""Seconds and peak memory of what a contestant does."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from .case import Case, Job, Scores
from .workloads import length

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # what Linux takes for it


@dataclass(frozen=True)
class Run:
    """One run of a job.

    Attributes:
        seconds: For all of the case's texts, by the job's clock.
        peak_bytes: What it took of memory at most beyond the loaded model; None if unknown.
        scores: What came out.
    """

    seconds: float
    peak_bytes: int | None
    scores: Scores


class ContestantError(Exception):
    """A contestant cannot do what it was asked, or ended."""


class Stage(Protocol):
    """Where a contestant runs."""

    def prepare(self, name: str, case: Case, warm_up: bool) -> dict[str, Any]:
        """Gets a case ready.

        Args:
            name: What to call it.
            case: The case.
            warm_up: Whether to explain the shortest and the longest text first, or what the case
                says.

        Returns:
            Notes on it.

        Raises:
            NotReachedError: If the contestant does not become as accurate as the case asks.
            ContestantError: If it cannot do it.
        """

    def run(self, name: str) -> Run:
        """Does it once."""


class LocalStage:
    """A contestant in this process.

    Args:
        contestant: Name of a module in `contestants/`.
        device: "cpu" or "cuda".
        threads: Threads that torch may use; None for as many as there are cores, whatever the
            environment says.
        processor: Whether to count seconds of the processor, of all threads together, in the
            place of those on the wall: on a machine that is busy with other things.
    """

    def __init__(
        self, contestant: str, device: str, threads: int | None = None, processor: bool = False
    ) -> None:
        import torch

        import allennlp_saliency  # noqa: F401  makes AllenNLP importable

        torch.set_num_threads(threads or cores())
        self._module = import_module(f".contestants.{contestant}", __package__)
        self._device = device
        self._model: tuple[str, Any] | None = None
        self._jobs: dict[str, Job] = {}
        self._empty = 0
        self._clock = time.process_time if processor else time.perf_counter

    def prepare(self, name: str, case: Case, warm_up: bool) -> dict[str, Any]:
        predictor = self._predictor(case.model)
        job = self._module.prepare(case, predictor)
        # Who has looked for an accuracy is warm.
        if warm_up and case.accuracy is None:
            by_length = sorted(case.texts, key=length)
            ends = case.warm_up or (by_length[0], by_length[-1])[: len(by_length)]
            self._module.prepare(replace(case, texts=ends), predictor).run()
        self._jobs[name] = job
        return job.notes

    def run(self, name: str) -> Run:
        job = self._jobs[name]
        with _peak(self._device) as peak:
            _wait(self._device)
            clock = job.clock or self._clock
            start = clock()
            scores = job.run()
            _wait(self._device)
            seconds = clock() - start
        used = None if peak.bytes is None else max(peak.bytes - self._empty, 0)
        return Run(seconds / job.share, used, scores)

    def _predictor(self, model: str) -> Any:
        from .workloads import predictor

        if self._model is None or self._model[0] != model:
            self._model = None
            self._jobs.clear()
            self._model = (model, predictor(model, self._device))
            with _peak(self._device) as peak:
                pass
            self._empty = peak.bytes or 0
        return self._model[1]


def cores() -> int:
    """How many cores this process may use."""
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class _Peak:
    bytes: int | None = None


@contextmanager
def _peak(device: str) -> Iterator[_Peak]:
    """Looks how much memory is taken at most, by tensors on CUDA, by the process elsewhere."""
    peak = _Peak()
    gc.collect()
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated()
        return
    _give_back()
    resettable = _reset_peak()
    yield peak
    if resettable:
        peak.bytes = _peak_resident()
    else:
        # The most since the process began: right as long as later runs take more.
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak.bytes = kilobytes * (1 if os.uname().sysname == "Darwin" else 1024)


def _give_back() -> None:
    # What earlier runs freed is not this run's.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK)
        return "VmHWM" in _STATUS.read_text()
    except OSError:
        return False


def _peak_resident() -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _wait(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
