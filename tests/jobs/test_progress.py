"""How far a job is."""

from __future__ import annotations

import io
import re
import sys
import time
from typing import Any

import pytest

from allennlp_saliency.jobs import progress
from allennlp_saliency.jobs.parts.part import Part


def part(inputs: int, failed: int = 0) -> Part:
    return Part([], [], {"inputs": inputs, "failed": failed}, tokens=100 * inputs)


def test_a_line_now_and_then_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.05)
    with progress.Progress(100, done=10, failed=1, command="job") as shown:
        shown.add(part(30, 1))
        time.sleep(0.3)
    told = capsys.readouterr().err.splitlines()
    assert told
    pattern = r"job: 40 of 100 inputs, [\d,]+ tokens/s, \d+ s left, 2 errors"
    assert re.fullmatch(pattern, told[-1]), told[-1]
    time.sleep(0.15)
    assert not capsys.readouterr().err


def test_nothing_is_told_where_nothing_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.02)
    with progress.Progress(100, silent=True) as shown:
        shown.add(part(30))
        time.sleep(0.1)
    assert not capsys.readouterr().err


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal: Any = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.Progress(100, command="job") as shown:
        time.sleep(0.2)
        shown.add(part(30, 2))
    assert "job" in terminal.getvalue()
    assert re.search(r"30/100.*errors=2.*tokens/s=[\d,]+|30/100.*tokens/s=[\d,]+.*errors=2",
                     terminal.getvalue())  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "words"), [(10, "30 s left"), (100, "5 min left"), (4000, "3.3 h left")]
)
def test_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch, seconds: float, words: str) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = progress.Progress(40, silent=True)
    assert "? left" in shown.line()
    shown.add(part(10))
    now[0] = seconds
    assert words in shown.line()


def test_the_part_at_work_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part may take minutes: what of it is explained counts, and once only."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = progress.Progress(100, done=20, silent=True)
    now[0] = 10.0
    shown.within(5.5)
    assert shown.line().startswith("25 of 100 inputs, ? tokens/s, 2 min left")
    shown.within(10)
    assert shown.line() == "30 of 100 inputs, ? tokens/s, 70 s left, 0 errors"
    shown.add(part(10))
    assert shown.line() == "30 of 100 inputs, 100 tokens/s, 70 s left, 0 errors"
