"""The command in a process of its own: signals and pipes as a shell has them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import GOOD

COMMAND = "from allennlp.__main__ import run; run()"


def arguments(archive: Path, given: Path) -> list[str]:
    command = [sys.executable, "-c", f"import allennlp_saliency; {COMMAND}", "predict"]
    settings = json.dumps({"interpreter": "integrated-gradients"})
    command += [str(archive), str(given), "--predictor", "saliency"]
    return [*command, "--predictor-args", settings]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text(f"{GOOD}\n" * 20_000, encoding="utf-8")
    return path


@pytest.fixture
def environment() -> dict[str, str]:
    quiet = ("ALLENNLP_DEBUG", "ALLENNLP_LOG_LEVEL")
    return {name: value for name, value in os.environ.items() if name not in quiet}


def own_lines(err: str) -> list[str]:
    """Without what a plugin says that cannot be imported here."""
    foreign = ("[nltk_data]", "allennlp.common.plugins")
    return [line for line in err.splitlines() if not any(word in line for word in foreign)]


def test_an_interrupt(
    archive: Path, given: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    output = tmp_path / "out.jsonl"
    command = [*arguments(archive, given), "--silent", "--output-file", str(output)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        until = time.monotonic() + 300
        while not output.exists() or not output.stat().st_size:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    (said,) = own_lines(err)
    text = output.read_text(encoding="utf-8")
    assert text.endswith("\n")
    done = len([json.loads(line) for line in text.splitlines()])
    assert said.startswith(f"allennlp predict: interrupted after {done} of 20000 inputs, 0 errors")
    assert said.endswith(f"; output in {output}")


@pytest.mark.parametrize(
    ("pipe", "status", "told"),
    [
        ("| head -n 1", 141, "the standard output was closed after"),
        pytest.param(
            "> /dev/full",
            1,
            "cannot write to the standard output: No space left on device",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device"),
            ],
        ),
    ],
)
def test_an_output_that_ends(
    archive: Path, given: Path, environment: dict[str, str], pipe: str, status: int, told: str
) -> None:
    quiet = {**environment, "ALLENNLP_LOG_LEVEL": "WARNING"}
    done = subprocess.run(
        ["bash", "-c", f'"$@" {pipe}; exit ${{PIPESTATUS[0]}}', "bash", *arguments(archive, given)],
        capture_output=True,
        text=True,
        env=quiet,
        timeout=400,
        check=False,
    )
    assert done.returncode == status
    (said,) = own_lines(done.stderr)
    assert told in said
    if status == 141:
        assert done.stdout == f"input 0:  {GOOD}\n"
