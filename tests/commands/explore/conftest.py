"""Two small models that are served: an application behind its guard, and a server."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Registrable
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter

pytest.importorskip("fastapi", reason="the extra `explore` is not installed")
pytest.importorskip("uvicorn", reason="the extra `explore` is not installed")

import uvicorn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would rather have httpx2
    from fastapi.testclient import TestClient

import allennlp_saliency.plugin  # noqa: F401
from allennlp_saliency.commands.explore.app import create
from allennlp_saliency.commands.explore.guard import Guard
from allennlp_saliency.commands.explore.limits import Limits
from allennlp_saliency.commands.explore.models.served import Loading, ServedModel, load
from allennlp_saliency.interpret import Attribution, EmbeddingSpace, SaliencyInterpreter

ROOT = Path(__file__).resolve().parents[3]
SENTENCE = {"sentence": "the bonds of our lender"}
LIMITS = Limits(seconds=30, waiting=2)
Models = dict[str, ServedModel]


@pytest.fixture(scope="session")
def models() -> Iterator[Models]:
    """A bag of embeddings in an archive, and a language model that writes."""
    sources = [str(ROOT / "fixtures" / name / "model.tar.gz") for name in ("topics", "copy-lm")]
    found = load(sources, Loading(), LIMITS)
    yield found
    for model in found.values():
        model.queue.close()


@pytest.fixture
def client(models: Models) -> TestClient:
    """A client on this machine."""
    return TestClient(Guard(create(models, LIMITS), LIMITS), base_url="http://localhost:8000")


@dataclass(frozen=True)
class Serving:
    """A server that listens.

    Attributes:
        port: Its port on the loopback address.
        model: The first of its models.
    """

    port: int
    model: ServedModel

    @property
    def url(self) -> str:
        """Where its page is."""
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def served_at(app: Any) -> Iterator[int]:
    """Serves an application; the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(timeout=10)
    listening.close()


@pytest.fixture
def serving(models: Models) -> Iterator[Serving]:
    """The application on a free port, until the test ends."""
    with served_at(Guard(create(models, LIMITS), LIMITS)) as port:
        yield Serving(port, models["topics"])


class Endless(SaliencyInterpreter):
    """Runs the model until somebody stops it, for a minute at most."""

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        rows = torch.arange(len(space.embeddings))
        end = time.monotonic() + 60
        while time.monotonic() < end:
            space.evaluate(space.embeddings, rows)
        raise AssertionError("nobody has stopped it")


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a method that does not end."""
    monkeypatch.setitem(Registrable._registry[AnyInterpreter], "endless", (Endless, None))
    return "endless"


class Slow(SaliencyInterpreter):
    """Runs the model forty times, one text a pass, with time between the passes to be seen."""

    def __init__(self, predictor: Any) -> None:
        super().__init__(predictor, token_budget=1)

    @property
    def n_evaluations(self) -> int:
        return 40

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        rows = torch.arange(len(space.embeddings))
        for _ in range(self.n_evaluations):
            time.sleep(0.05)
            space.evaluate(space.embeddings, rows)
        return Attribution(torch.ones(space.layout.tokens.shape))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a method that takes two seconds."""
    monkeypatch.setitem(Registrable._registry[AnyInterpreter], "slow", (Slow, None))
    return "slow"


def until(true: Callable[[], Any], seconds: float = 20) -> None:
    """Waits for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
