"""`allennlp interpret --engine ray`: the bytes of the local engine, whoever is killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.commands.interpret.command import main

from ..conftest import FOLDER, SENTENCES, contents

psutil = pytest.importorskip("psutil")
if not find_spec("ray"):
    pytest.skip("pip install 'allennlp-saliency[ray]' runs these tests", allow_module_level=True)

PARTS = 25
# A command, as a shell runs it.
SETTINGS = ["--interpreter", "integrated-gradients", "--part-size", "8"]
RAY = ["--engine", "ray", "--workers", "2"]


@dataclass
class Command:
    """A command that runs, and the processes that it has started.

    Attributes:
        process: It.
        folder: The folder of its run.
    """

    process: subprocess.Popen[str]
    folder: Path

    def __post_init__(self) -> None:
        self.family: list[Any] = []

    def complete(self) -> int:
        """How many parts are complete."""
        return len(list(self.folder.glob(".state/part-*.json")))

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Waits until it holds, while the command runs; notes its processes."""
        while not holds():
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.1)
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[Any]:
        """The processes that explain."""
        return [one for one in self.family if "ray::RayWorker" in " ".join(one.cmdline())]

    def heard_at(self) -> set[str]:
        """The addresses at which its processes can be reached."""
        sockets = [one for process in self.family for one in process.net_connections(kind="inet")]
        assert sockets
        return {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}

    def end(self) -> tuple[int, str]:
        """Its exit status and what it told, when nothing of it is left."""
        _, told = self.process.communicate(timeout=500)
        # After SIGKILL, on a busy machine, two of Ray's own processes took 64 seconds.
        _, left = psutil.wait_procs(self.family, timeout=180)
        assert not left
        return self.process.returncode, told


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred inputs; one is no JSON."""
    lines = [
        json.dumps({"id": f"s{number}", "sentence": SENTENCES[number % len(SENTENCES)]})
        for number in range(8 * PARTS)
    ]
    lines[77] = "{"
    path = tmp_path_factory.mktemp("inputs") / "inputs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def start(inputs: Path) -> Callable[..., Command]:
    """Starts the command for a folder."""

    def start(folder: Path, *settings: str) -> Command:
        command = [sys.executable, "-m", "allennlp", "interpret"]
        command += [str(FOLDER / "model.tar.gz"), str(inputs), *SETTINGS]
        command += ["--output", str(folder), *settings]
        pipe = subprocess.PIPE
        return Command(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True), folder)

    return start


@pytest.fixture(scope="module")
def local(start: Callable[..., Command], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All files of the run of the local engine."""
    folder = tmp_path_factory.mktemp("local") / "run"
    assert start(folder).end()[0] == 3
    return contents(folder)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_the_bytes_of_the_local_engine(
    start: Callable[..., Command], local: Any, tmp_path: Path, killed: int
) -> None:
    command = start(tmp_path / "run", *RAY)
    command.wait_for(lambda: command.complete() >= 3)
    workers = command.workers()
    assert len(workers) >= 1
    assert command.heard_at() <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    for worker in workers[:killed]:
        worker.kill()
    temporary = set(re.findall(r"/[^ =]*/ray-\w+", str([one.cmdline() for one in command.family])))
    status, told = command.end()
    assert status == 3, told
    assert ("lost its worker" in told) == bool(killed), told
    assert contents(tmp_path / "run") == local
    assert len(temporary) == 1
    assert not Path(temporary.pop()).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_the_end_of_the_command_ends_the_workers_and_the_same_command_goes_on(
    start: Callable[..., Command], local: Any, tmp_path: Path, number: int, status: int
) -> None:
    command = start(tmp_path / "run", *RAY)
    command.wait_for(lambda: command.complete() >= 3)
    command.process.send_signal(number)
    ended, told = command.end()
    assert ended == status, told
    assert 3 <= command.complete() < PARTS
    if number != signal.SIGKILL:
        assert told.count("the same command goes on there") == 1
        assert "Traceback" not in told
    assert start(tmp_path / "run").end()[0] == 3
    assert contents(tmp_path / "run") == local


def test_an_archive_that_is_broken_says_so_once(inputs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"no archive")
    with pytest.raises(SystemExit) as caught:
        main([str(archive), str(inputs), *SETTINGS, "--output", str(tmp_path / "run"), *RAY])
    assert str(caught.value.code).count("model.tar.gz") == 1
    assert str(caught.value.code).startswith("allennlp interpret: error: ")
