"""How many padded tokens a batch should have: the number with which this machine is fastest."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .errors import JobError
from .job import Job
from .parts.explainer import Explainer
from .run_folder import RunFolder
from .sources.item import Item
from .worker import Opened

_SAMPLE = 64
_SECONDS = 60.0
_CANDIDATES = {"cpu": (1024, 512, 2048, 4096, 8192), "cuda": (16384, 32768, 65536, 8192, 4096)}
_GAIN = 0.03
"""A number is better than one tried before if it takes at most 97 % of its time."""


def measured(job: Job, what: Opened) -> Job:
    """The job with a number in the place of "auto": the one in its folder, since the bytes of the
    parts depend on it, or the fastest of some that are tried on its first inputs.

    Args:
        job: The job.
        what: Its model and its inputs.
    """
    if job.batch_tokens != "auto":
        return job
    number = None if job.overwrite or job.output is None else _written(Path(job.output))
    if number is None:
        device = "cpu" if job.cuda_device < 0 else "cuda"
        number = fastest(job, what, _CANDIDATES[device])
    return replace(job, batch_tokens=number)


def fastest(job: Job, what: Opened, candidates: Sequence[int]) -> int:
    """The number of tokens in a batch that takes the least time, tried for a minute at most.

    Args:
        job: The job.
        what: Its model and its inputs.
        candidates: The numbers to try, the likeliest first.
    """
    sample = list(what.source.items(0, min(_SAMPLE, what.source.count())))
    began = time.monotonic()
    best, least = candidates[0], float("inf")
    for number in candidates:
        took = _time(job, what, number, sample)
        if took < least * (1 - _GAIN):
            best, least = number, took
        if time.monotonic() - began + took > _SECONDS:
            break
    return best


def _time(job: Job, what: Opened, number: int, sample: Sequence[Item]) -> float:
    """The shorter time of two, since the first has more to do."""
    explainer = Explainer(what.predictor, job.interpreters, number, job.max_tokens)
    return min(explainer.part(sample).seconds for _ in range(2))


def _written(path: Path) -> int | None:
    try:
        number = RunFolder(path).config["settings"]["batch_tokens"]
    except (JobError, json.JSONDecodeError):
        return None
    return number if isinstance(number, int) else None
