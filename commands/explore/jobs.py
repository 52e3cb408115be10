"""A queue for each model: one request at a time, and one that nobody waits for is stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from .errors import Refused, readable
from .limits import Limits

Watch = Callable[[], None]
"""What is called before each forward pass of the model. A `Job` is told how many to expect, too."""
Work = Callable[[Watch], Any]


class Stopped(BaseException):
    """Ends a request from within. No `except Exception` on the way takes it for a failure of the
    model."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


class Job:
    """A request that waits for a model, or that the model works on.

    Args:
        work: What is done: a function of what it calls before each forward pass.
        seconds: How long it may take.

    Attributes:
        result: What comes of it; a `Refused` where nothing does.
        passes: How many forward passes there were so far.
    """

    def __init__(self, work: Work, seconds: float) -> None:
        self.result: Future[Any] = Future()
        self.passes = 0
        self._expected: int | None = None
        self._share = 0.0
        self._work = work
        self._seconds = seconds
        self._begun: float | None = None
        self._cancelled = threading.Event()

    @property
    def seconds(self) -> float | None:
        """How long the model has worked on it, None if it has not begun."""
        return None if self._begun is None else time.monotonic() - self._begun

    def cancel(self) -> None:
        """Nobody wants the result any more: it ends before the model's next forward pass."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the result any more."""
        return self._cancelled.is_set()

    @property
    def percent(self) -> int | None:
        """How much of the passes that are expected is done, never less than it was before; None
        before it is known how many that are. 100 is what is done, so there are 99 at most."""
        if self._expected is None:
            return None
        self._share = max(self._share, self.passes / self._expected)
        return min(int(100 * self._share), 99)

    def expect(self, passes: int) -> None:
        """Takes about how many forward passes are to come; estimates follow one another where a
        request has several parts."""
        self._expected = self.passes + max(passes, 1)

    def __call__(self) -> None:
        """Counts a forward pass.

        Raises:
            Stopped: If nobody waits for the result any more, or it has taken too long.
        """
        if self.cancelled:
            raise Stopped(Refused(499, "cancelled"))
        if (self.seconds or 0) > self._seconds:
            raise Stopped(
                Refused(
                    503,
                    f"stopped after {self._seconds:g} seconds; ask for fewer steps or samples, or "
                    "give a shorter text (--max-seconds of the server changes the limit)",
                )
            )
        self.passes += 1

    def run(self) -> None:
        """Does the work; what comes of it is in `result`."""
        if self.cancelled:
            self.result.set_exception(Refused(499, "cancelled"))
            return
        self._begun = time.monotonic()
        try:
            self.result.set_result(self._work(self))
        except Stopped as stopped:
            self.result.set_exception(stopped.refused)
        except BaseException as error:
            self.result.set_exception(readable(error))


class ModelQueue:
    """The requests to a model, done one after the other by a thread of its own.

    Args:
        name: The model's name.
        limits: How many may wait, and how long one may take.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._running: Job | None = None
        self._thread = threading.Thread(target=self._serve, name=f"explore-{name}", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> Job:
        """Queues some work.

        Raises:
            Refused: If too much waits already.
        """
        job = Job(work, self._limits.seconds)
        with self._changed:
            self._drop_cancelled()
            if self._closed or len(self._waiting) >= self._limits.waiting:
                raise Refused(
                    429, f"{len(self._waiting)} requests wait for this model; try again soon"
                )
            self._waiting.append(job)
            self._changed.notify()
        return job

    def ahead_of(self, job: Job) -> int:
        """How many requests the model does before this one."""
        with self._changed:
            self._drop_cancelled()
            before = list(self._waiting)
            if job not in before:
                return 0
            return before.index(job) + (self._running is not None)

    def stop(self) -> None:
        """Stops what runs, drops what waits, and takes nothing more."""
        with self._changed:
            self._closed = True
            for job in (*self._waiting, *((self._running,) if self._running else ())):
                job.cancel()
            self._drop_cancelled()
            self._changed.notify()

    def close(self, seconds: float = 5) -> bool:
        """As `stop`, and waits for the end.

        Args:
            seconds: How long to wait at most: a pass of the model is not interrupted.

        Returns:
            Whether the thread has ended.
        """
        self.stop()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _drop_cancelled(self) -> None:
        for job in [job for job in self._waiting if job.cancelled]:
            self._waiting.remove(job)
            job.result.set_exception(Refused(499, "cancelled"))

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                self._running = self._waiting.popleft()
            self._running.run()
            with self._changed:
                self._running = None
