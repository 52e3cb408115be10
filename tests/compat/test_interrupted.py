"""Ctrl-C while a command imports what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from allennlp_saliency.compat.interrupted import command, end_quietly


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["python", "/env/bin/allennlp", "predict", "a"], "allennlp"),
        (["python", "-X", "utf8", "/env/bin/allennlp-saliency", "doctor"], None),
        (["python", "-I", "/env/bin/allennlp-saliency", "doctor"], "allennlp-saliency"),
        (["python", r"allennlp-script.py"], "allennlp"),
        (["python", "-m", "allennlp", "predict"], "python -m allennlp"),
        (
            ["python", "-m", "allennlp_saliency.commands.interpret", "-h"],
            "python -m allennlp_saliency.commands.interpret",
        ),
        (["python", "-m", "pytest", "-m", "allennlp"], None),
        (["python", "-c", "allennlp"], None),
        (["python", "mine.py", "allennlp"], None),
        (["python"], None),
    ],
)
def test_which_command_it_is(arguments: list[str], name: str | None) -> None:
    assert command(arguments) == name


@pytest.mark.parametrize("module", ["interpret", "render"])
def test_one_line_and_the_status_of_shells(module: str, tmp_path: Path) -> None:
    """As if Ctrl-C came in the middle of torch."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    name = f"allennlp_saliency.commands.{module}"
    done = subprocess.run(
        [sys.executable, "-m", name, "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == f"python -m {name}: interrupted\n"
    assert done.returncode == 130


def test_another_program_keeps_its_traceback(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text("import allennlp_saliency\nraise KeyboardInterrupt\n", encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert done.stderr.startswith("Traceback")
    assert "interrupted" not in done.stderr


def test_other_errors_and_other_hooks_stay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "allennlp"])
    monkeypatch.setattr(sys, "excepthook", print)
    end_quietly()
    assert sys.excepthook is print
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    end_quietly()
    error = ValueError("of another kind")
    sys.excepthook(ValueError, error, None)
    assert "ValueError: of another kind" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert stop.value.code == 130
