"""The `allennlp` command with hostile archives: no command of theirs, no code, no loader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.archives import hostile_configurations, hostile_members
from tests.compat.archives.attempts import Attempt

PROGRAM = Path(sys.executable).parent / "allennlp"
CASES = hostile_configurations.CASES | hostile_members.CASES


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize("hostile", ["os.system", "the_model", "code_of_its_transformer"])
def test_the_command_line_runs_nothing(attempt: Attempt, command: str, hostile: str) -> None:
    CASES[hostile](attempt)
    attempt.finish()
    done = _allennlp(attempt, command, "text_classifier")
    assert done.returncode != 0
    assert f"The archive {attempt.folder} was not loaded" in done.stderr


@pytest.mark.slow
def test_the_command_line_evaluates_with_no_loader_of_theirs(attempt: Attempt) -> None:
    attempt.config["data_loader"] = "evil_module.Evil"
    attempt.finish()
    done = _allennlp(attempt, "evaluate", "")
    assert done.returncode != 0
    assert "there is no imported module 'evil_module'" in done.stderr


def _allennlp(attempt: Attempt, command: str, predictor: str) -> subprocess.CompletedProcess[str]:
    lines = attempt.work / "lines.jsonl"
    lines.write_text('{"sentence": "good", "text": "good", "label": "pos"}\n')
    more = ["--predictor", predictor] if command == "predict" else []
    return subprocess.run(
        [PROGRAM, command, str(attempt.folder), str(lines), *more],
        capture_output=True,
        text=True,
        cwd=attempt.work,
        timeout=300,
    )
