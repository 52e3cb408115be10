"""The parts of a job, done by workers of Ray: on the cores or GPUs of one machine or of many.

Not by Ray Data: when it was tried, with two actors on two cores, its reading step got no core and
nothing came in 290 seconds; and a part that ends its worker was tried again without end.
"""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import checks

from ..errors import JobError
from ..parts.part import Part
from .engine import Worker
from .ray_cluster import check_installed, connected
from .ray_worker import Failure, RayWorker
from .surroundings import Surroundings

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 60.0


class RayEngine:
    """Has parts done by actors of Ray, each of which makes its worker once.

    A worker that is lost, by a signal, for want of memory or with its machine, is replaced, and
    its part done again. An exception of a worker ends the run, as it does in this process.

    A worker has as many threads as this process (`OMP_NUM_THREADS`), since sums by another number
    of threads may differ in their last digits; on the CPU it takes as many cores.

    Args:
        address: The cluster, as `connected` takes it; None for this machine.
        workers: How many workers; None for as many as the cores or GPUs of the cluster hold.
        gpus_per_worker: GPUs for each worker, which sees no others: 0 for the CPU, 0.5 for two
            workers on a GPU.
        retries: How many times a part is done again that its worker did not survive.

    Raises:
        ConfigurationError: If Ray is not installed, or a setting is out of range.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        gpus_per_worker: float = 0,
        retries: int = 2,
    ) -> None:
        checks.optional_integer("workers", workers, least=1)
        checks.integer("retries", retries, least=0)
        if not gpus_per_worker >= 0:
            raise ConfigurationError(f"gpus_per_worker is 0 or more; got {gpus_per_worker!r}")
        check_installed()
        self._address = address
        self._workers = workers
        self._gpus = gpus_per_worker
        self._retries = retries

    def run(self, make: Callable[[], Worker], parts: Sequence[int]) -> Iterator[tuple[int, Part]]:
        """Yields the parts as they are done.

        Raises:
            ConfigurationError: If the cluster cannot be reached or has no room for a worker, or
                `make` cannot be sent.
            JobError: If workers are lost again and again: while they are made, or by some parts,
                and then the other parts are yielded first, unless one after another is lost.
        """
        if not parts:
            return
        threads = torch.get_num_threads()
        with connected(self._address, threads * (self._workers or _own_cores(threads))) as ray:
            cores = 1 if self._gpus else threads
            count = min(self._count(ray, cores), len(parts))
            remote = ray.remote(
                num_cpus=cores, num_gpus=self._gpus, max_restarts=0, scheduling_strategy="SPREAD"
            )(RayWorker)
            recipe = ray.put(_pickled(ray, make))
            pool = _Pool(ray, lambda: remote.remote(Surroundings.here(), [recipe]), self._retries)
            try:
                yield from pool.run(count, parts)
            finally:
                pool.end()

    def _count(self, ray: Any, cores: int) -> int:
        """How many workers the cluster holds, or is asked to make room for."""
        there = ray.cluster_resources()
        kind, each = ("GPU", self._gpus) if self._gpus else ("CPU", cores)
        room = int(there.get(kind, 0) / each)
        if room < 1 and not (self._address and self._workers):  # a cluster may grow
            way_out = (
                "the CPU needs none"
                if self._gpus
                else "with OMP_NUM_THREADS=1 a worker takes one core"
            )
            raise ConfigurationError(
                f"a worker takes {each:g} {kind}, and there are {there.get(kind, 0):g}: {way_out}"
            )
        return self._workers or room


class _Pool:
    """Workers, each with one part at a time: no more than one result of each waits to be read."""

    def __init__(self, ray: Any, hire: Callable[[], Any], retries: int) -> None:
        self._ray = ray
        self._hire = hire
        self._retries = retries
        self._at_work: dict[Any, tuple[Any, int | None]] = {}  # None: the worker is being made
        self._losses: Counter[int | None] = Counter()
        self._given_up: dict[int, str] = {}
        self._in_a_row = 0  # given up since a part was done

    def run(self, count: int, parts: Sequence[int]) -> Iterator[tuple[int, Part]]:
        todo = deque(parts)
        for _ in range(count):
            self._add_worker()
        while todo or any(number is not None for _, number in self._at_work.values()):
            result = self._next()
            worker, number = self._at_work.pop(result)
            try:
                found = self._ray.get(result)
            except self._ray.exceptions.RayTaskError as error:
                raise JobError(f"a worker cannot answer: {error.cause or error}") from error
            except self._ray.exceptions.RayError as error:
                self._lost(number, error, todo)
                continue
            if isinstance(found, Failure):
                raise found.error
            if number is None:
                self._losses[None] = 0
            if todo:
                following = todo.popleft()
                self._at_work[worker.part.remote(following)] = (worker, following)
            if number is not None:
                self._in_a_row = 0
                yield number, found
        if self._given_up:
            raise JobError(_given_up(self._given_up, self._retries + 1))

    def end(self) -> None:
        """Ends the workers, those that are being made too."""
        for worker, _ in self._at_work.values():
            self._ray.kill(worker)

    def _add_worker(self) -> None:
        worker = self._hire()
        self._at_work[worker.start.remote()] = (worker, None)

    def _next(self) -> Any:
        while True:
            done, _ = self._ray.wait(list(self._at_work), timeout=_PATIENCE_SECONDS)
            if done:
                return done[0]
            if all(number is None for _, number in self._at_work.values()):
                logger.warning(
                    "no worker is ready yet; %s is free in the cluster",
                    self._ray.available_resources(),
                )

    def _lost(self, number: int | None, error: Exception, todo: deque[int]) -> None:
        """A worker is gone: hires another, and puts its part first again."""
        reason = " ".join(str(error).split())[:500]
        self._losses[number] += 1
        much = self._losses[number] > self._retries
        if number is None and much:
            raise JobError(
                f"{self._losses[None]} workers one after another were lost while they loaded the "
                f"model, the last one so: {reason} Fewer workers (--workers) need less memory."
            )
        if number is not None and much:
            self._given_up[number] = reason
            self._in_a_row += 1
            if self._in_a_row > self._retries:
                raise JobError(_given_up(self._given_up, self._retries + 1))
        elif number is not None:
            logger.warning("part %d lost its worker, and is done again: %s", number, reason)
            todo.appendleft(number)
        self._add_worker()


def _own_cores(threads: int) -> int:
    """How many workers of so many threads this machine has cores for: one at least."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, cores // threads)


def _pickled(ray: Any, make: Callable[[], Worker]) -> bytes:
    try:
        pickled: bytes = ray.cloudpickle.dumps(make)
    except Exception as error:
        raise ConfigurationError(
            f"the job cannot be sent to other processes ({error}): give the model and the inputs "
            "as paths, not as objects"
        ) from error
    return pickled


def _given_up(reasons: dict[int, str], times: int) -> str:
    named = ", ".join(str(number) for number in sorted(reasons))
    which = f"part {named} has" if len(reasons) == 1 else f"each of the parts {named} has"
    return (
        f"{which} ended {times} workers, the last one so: {list(reasons.values())[-1]} Fewer "
        "workers (--workers) or smaller batches (--batch-tokens) need less memory; what is "
        "complete is kept, and the same command goes on"
    )
