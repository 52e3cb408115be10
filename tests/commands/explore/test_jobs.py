"""The queue of a model: one at a time, in order, and nothing that nobody waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from allennlp_saliency.commands.explore.errors import Refused
from allennlp_saliency.commands.explore.jobs import Job, ModelQueue, Watch
from allennlp_saliency.commands.explore.limits import Limits
from allennlp_saliency.interpret import InterpretationError


@pytest.fixture
def queue() -> Iterator[ModelQueue]:
    made = ModelQueue("a model", Limits(waiting=2, seconds=20))
    yield made
    made.close()


def endless(watch: Watch) -> None:
    while True:
        watch()


def begun(job: Job) -> None:
    end = threading.Event()
    while job.seconds is None:
        end.wait(0.005)


def test_results_come_in_order(queue: ModelQueue) -> None:
    gate, seen = threading.Event(), []

    def work(number: int) -> int:
        gate.wait(10)
        seen.append(number)
        return number

    jobs = [queue.submit(lambda watch: work(0))]
    begun(jobs[0])
    jobs += [queue.submit(lambda watch, n=number: work(n)) for number in (1, 2)]
    assert [queue.ahead_of(job) for job in jobs] == [0, 1, 2]
    gate.set()
    assert [job.result.result(10) for job in jobs] == seen == [0, 1, 2]


def test_one_too_many_is_refused(queue: ModelQueue) -> None:
    jobs = [queue.submit(endless)]
    begun(jobs[0])
    jobs += [queue.submit(endless) for _ in range(2)]
    with pytest.raises(Refused, match="2 requests wait") as refused:
        queue.submit(endless)
    assert refused.value.status == 429
    jobs[1].cancel()  # makes room
    jobs.append(queue.submit(endless))
    for job in jobs:
        job.cancel()
    for job in jobs:
        with pytest.raises(Refused, match="cancelled"):
            job.result.result(10)


def test_a_job_that_waits_is_dropped_and_one_that_runs_is_stopped(queue: ModelQueue) -> None:
    running = queue.submit(endless)
    begun(running)
    waiting = queue.submit(lambda watch: pytest.fail("it ran"))
    waiting.cancel()
    running.cancel()
    for job in (running, waiting):
        with pytest.raises(Refused, match="cancelled"):
            job.result.result(10)
    assert running.passes > 0
    assert waiting.seconds is None
    assert queue.submit(lambda watch: "on").result.result(10) == "on"


def test_a_job_that_takes_too_long_is_stopped() -> None:
    queue = ModelQueue("a model", Limits(seconds=0.05))
    with pytest.raises(Refused, match=r"stopped after 0\.05 seconds") as refused:
        queue.submit(endless).result.result(10)
    assert refused.value.status == 503
    queue.close()


def test_errors_are_sentences(queue: ModelQueue) -> None:
    def fail(error: BaseException) -> None:
        raise error

    known = queue.submit(lambda watch: fail(InterpretationError("no such label")))
    with pytest.raises(Refused, match="no such label"):
        known.result.result(10)
    unknown = queue.submit(lambda watch: fail(RuntimeError("/home/ada/secret")))
    with pytest.raises(Refused, match="the model failed") as refused:
        unknown.result.result(10)
    assert refused.value.status == 500
    assert "ada" not in refused.value.message
    stopped = queue.submit(lambda watch: fail(SystemExit(3)))
    with pytest.raises(Refused, match="SystemExit"):
        stopped.result.result(10)
    assert queue.submit(lambda watch: "on").result.result(10) == "on"


def test_the_share_that_is_done_never_goes_back(queue: ModelQueue) -> None:
    shares: list[int | None] = []

    def work(job: Job) -> str:
        def passed(times: int) -> None:
            for _ in range(times):
                job()
                shares.append(job.percent)

        passed(2)  # before anything is known
        job.expect(8)
        passed(4)
        job.expect(36)  # a second part: more than was thought
        passed(4)
        job.expect(1)
        passed(5)  # and longer than that
        return "done"

    assert queue.submit(work).result.result(10) == "done"  # type: ignore[arg-type]
    assert shares == [None, None, 30, 40, 50, 60, 60, 60, 60, 60, 99, 99, 99, 99, 99]


def test_a_closed_queue_takes_nothing() -> None:
    queue = ModelQueue("a model", Limits())
    running = queue.submit(endless)
    begun(running)
    waiting = queue.submit(endless)
    assert queue.close()
    for job in (running, waiting):
        with pytest.raises(Refused, match="cancelled"):
            job.result.result(10)
    with pytest.raises(Refused):
        queue.submit(endless)
