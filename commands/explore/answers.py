"""Answers as they go out: JSON of any text, and a job's way to its end as events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from .errors import Refused
from .jobs import Job, ModelQueue

_EVERY = 0.2  # seconds


class JsonAnswer(JSONResponse):
    """JSON in ASCII, so that any string can be sent, lone surrogates included."""

    def render(self, content: Any) -> bytes:
        return dumped(content)


def dumped(content: Any) -> bytes:
    """JSON on one line, in ASCII."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


async def waited(job: Job, request: Request) -> Any:
    """The result of a job, which is cancelled when the client leaves.

    Raises:
        Refused: If it has none.
    """
    ended = _end_of(job)
    try:
        while not await _done(job, ended):
            if await request.is_disconnected():
                raise Refused(499, "the client has left")
        return _result(job)
    finally:
        job.cancel()  # of a job that is done it changes nothing


async def events(job: Job, queue: ModelQueue, request: Request) -> AsyncIterator[bytes]:
    """A job as server-sent events: `queued`, `progress`, and at the end `result` or `error`."""
    shown: Any = None
    ended = _end_of(job)
    try:
        while True:
            seconds = job.seconds
            state = (
                ("queued", {"ahead": queue.ahead_of(job)})
                if seconds is None
                else (
                    "progress",
                    {"passes": job.passes, "percent": job.percent, "seconds": round(seconds, 1)},
                )
            )
            if state != shown and not job.result.done():
                yield _event(*state)
                shown = state
            if await _done(job, ended):
                break
            if await request.is_disconnected():
                return
        try:
            yield _event("result", _result(job))
        except Refused as refused:
            yield _event("error", {"error": refused.message, "status": refused.status})
    finally:
        job.cancel()


def _end_of(job: Job) -> asyncio.Event:
    """What is set when a job is done, in another thread."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: Any) -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(ended.set)

    job.result.add_done_callback(tell)
    return ended


async def _done(job: Job, ended: asyncio.Event) -> bool:
    """Waits a little for a job; whether it is done, or cancelled by the server's end."""
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), _EVERY)
    return job.result.done() or job.cancelled


def _result(job: Job) -> Any:
    """The result of a job that is done; one that is cancelled may end its pass later.

    Raises:
        Refused: If it has none.
    """
    if not job.result.done():
        raise Refused(503, "the server ends")
    return job.result.result()


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), dumped(data))
