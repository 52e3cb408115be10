"""Clients at once, and clients that leave, on a server that listens."""

from __future__ import annotations

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from allennlp_saliency.commands.explore.app import create
from allennlp_saliency.commands.explore.guard import Guard
from allennlp_saliency.commands.explore.jobs import ModelQueue

from .conftest import LIMITS, SENTENCE, Serving, served_at, until


def ask(serving: Serving, interpreter: Any, accept: str = "*/*") -> http.client.HTTPConnection:
    """Sends a request and does not wait for its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=30)
    body = json.dumps({"inputs": SENTENCE, "interpreter": interpreter})
    headers = {"Content-Type": "application/json", "Accept": accept}
    connection.request("POST", "/interpret", body, headers)
    return connection


def works(serving: Serving) -> bool:
    """Whether the model has begun with a request."""
    running = serving.model.queue._running
    return running is not None and running.passes > 3


def test_a_client_that_leaves_ends_the_work(serving: Serving, endless: str) -> None:
    queue = serving.model.queue
    for accept in ("text/event-stream", "application/json"):
        connection = ask(serving, endless, accept)
        until(lambda: works(serving))
        running = queue._running
        assert running is not None
        connection.close()
        until(lambda job=running: job.result.done())
        assert running.cancelled
    answer = ask(serving, "gradient").getresponse()
    assert answer.status == 200


def test_a_client_that_leaves_the_queue_is_dropped(serving: Serving, endless: str) -> None:
    queue = serving.model.queue
    first = ask(serving, endless)
    until(lambda: works(serving))
    second = ask(serving, "gradient", "text/event-stream")
    answer = second.getresponse()
    assert answer.readline() == b"event: queued\n"
    assert json.loads(answer.readline().removeprefix(b"data: ")) == {"ahead": 1}
    (waiting,) = queue._waiting
    second.sock.shutdown(socket.SHUT_RDWR) if second.sock else answer.close()
    second.close()
    answer.close()
    until(lambda: waiting.cancelled)
    first.close()
    until(lambda: queue._running is None)


def test_the_end_of_the_server_is_told(serving: Serving, endless: str) -> None:
    queue = ModelQueue("another", LIMITS)
    model = replace(serving.model, queue=queue)
    with served_at(Guard(create({"another": model}, LIMITS), LIMITS)) as port:
        other = Serving(port, model)
        connections = [ask(other, endless), ask(other, endless)]
        until(lambda: works(other))
        assert queue.close()
        for connection in connections:
            answer = connection.getresponse()
            assert answer.status in (499, 503)
            assert json.loads(answer.read())["error"] in ("cancelled", "the server ends")


def test_too_many_are_told_to_come_again(serving: Serving, endless: str) -> None:
    queue = serving.model.queue
    first = ask(serving, endless)
    until(lambda: works(serving))
    waiting = [ask(serving, endless) for _ in range(2)]
    until(lambda: len(queue._waiting) == 2)
    answer = ask(serving, "gradient").getresponse()
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "2"
    assert json.loads(answer.read())["error"].startswith("2 requests wait for this model")
    for connection in (*waiting, first):
        connection.close()
    until(lambda: queue._running is None and not queue._waiting)


def test_several_at_once_get_their_own(serving: Serving) -> None:
    def label(words: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=30)
        body = json.dumps({"inputs": {"sentence": words}})
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())["prediction"]["label"]

    words = ["bonds lender", "verdict lawsuit"]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(label, words * 4))
    assert found == ["finance", "law"] * 4
