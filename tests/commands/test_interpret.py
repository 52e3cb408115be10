"""`allennlp interpret` and `allennlp merge-runs`: their messages, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allennlp.commands import main

from allennlp_saliency.commands.interpret.command import FAILED_INPUTS
from allennlp_saliency.jobs import Job, RunFolder
from allennlp_saliency.jobs import run as running
from allennlp_saliency.jobs.engines import local
from tests.jobs.conftest import contents, read_lines, write_lines

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "fixtures" / "sentiment" / "model.tar.gz"
LINES = read_lines(ROOT / "fixtures" / "sentiment" / "inputs.jsonl")[:5]

Command = Callable[..., int]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.jsonl"
    write_lines(path, [{"sentence": one["sentence"]} for one in LINES])
    return path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs `allennlp`, in a folder of its own; the exit status, a message is printed."""

    def run(*words: Any) -> int:
        monkeypatch.setattr(sys, "argv", ["allennlp", *map(str, words)])
        monkeypatch.chdir(tmp_path)
        try:
            main(prog="allennlp")
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
                return 1
            return end.code or 0
        return 0

    return run


def test_the_help_says_what_there_is(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("interpret", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    options = (
        "interpreter params output config task predictor overrides target cuda-device dtype format "
        "columns id-key keep limit ids max-tokens part-size output-format overwrite retry-errors "
        "shard batch-tokens engine address workers"
    )
    assert not [one for one in options.split() if f"--{one}" not in text]
    assert "The same command again goes on where it was" in text
    assert "example: allennlp interpret model.tar.gz" in text
    assert command("--help") == 0
    text = capsys.readouterr().out
    assert "merge-runs" in text
    assert "interpret " in text


def test_from_a_file_to_a_folder(
    command: Command, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["interpret", ARCHIVE, inputs, "--output", "run", "--part-size", "2"]
    words += ["--interpreter", "gradient", "--interpreter", "integrated-gradients"]
    words += ["--params", '{"steps": 4}', "--target", '{"type": "probability"}']
    assert command(*words) == 0
    told = capsys.readouterr().err
    assert "allennlp interpret: run: 5 of 5 inputs explained, " in told
    assert "allennlp interpret: gradient: 5 explanations" in told
    assert "integrated-gradients: 5 explanations, convergence delta " in told
    assert "allennlp render run --html page.html\n" in told
    rows = list(RunFolder(tmp_path / "run").rows())
    assert [row["line"] for row in rows] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    second = rows[1]["instance_1"]["explanation"]
    assert second["interpreter"]["steps"] == 4
    assert second["target"]["type"] == "probability"
    assert command(*words, "--limit", "3") == 1
    assert "limit: null there, 3 here" in capsys.readouterr().err


def test_the_page_of_a_run_shows_which_predictions_are_wrong(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, page = tmp_path / "labelled.jsonl", tmp_path / "page.html"
    known = [{**one, "by": 1} for one in LINES[:3]]
    known[0]["label"] = "another"
    write_lines(path, [*known, {"id": "broken", "other": 1}])
    words = ["--interpreter", "gradient", "--keep", "label,by", "--output", "run"]
    assert command("interpret", ARCHIVE, path, *words) == FAILED_INPUTS
    predicted = [row["prediction"]["label"] for row in RunFolder(tmp_path / "run").rows()]
    assert command("render", "run", "--html", page, "--gold", "label") == 0
    text = page.read_text(encoding="utf-8")
    assert re.search(r'"gold": ?"another"', text)
    assert "broken" in text  # what could not be explained has its card, too
    assert "4 inputs" in capsys.readouterr().err
    wrong = len(re.findall(r'"wrong": ?true', text))
    assert wrong == sum(one["label"] != p for one, p in zip(known, predicted, strict=True))
    assert 0 < wrong < 3
    capsys.readouterr()
    assert command("render", "run", "--html", page, "--gold", "lable") == 1
    assert "no row keeps 'lable': explain again with" in capsys.readouterr().err
    assert command("render", "run", "--gold", "label") == 1
    assert "--gold is of the page: add --html FILE" in capsys.readouterr().err
    assert command("render", "run", "--html", page, "--gold", "by") == 0
    told = capsys.readouterr().err
    assert "no 'by' (1, such as '1') is a label that the model predicts (" in told
    assert "so every prediction is shown as wrong" in told


def test_the_same_from_yaml(command: Command, inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        f"model: {ARCHIVE}\ninputs: {inputs}\noutput: ignored\npart-size: 2\n"
        "interpreters:\n- gradient\n- {type: integrated-gradients, steps: 4}\n"
    )
    assert command("interpret", "--config", "job.yaml", "--output", "run", "--limit", 3) == 0
    assert not (tmp_path / "ignored").exists()
    assert RunFolder(tmp_path / "run").config["settings"] == {
        **Job.from_yaml(tmp_path / "job.yaml").identity(),
        "limit": 3,
    }


def test_inputs_that_fail_end_with_3(
    command: Command, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(inputs, [{"sentence": "a film"}, "{", {"text": "a film"}])
    words = ["interpret", ARCHIVE, inputs, "--interpreter", "gradient", "--output", "run"]
    assert command(*words) == FAILED_INPUTS
    told = capsys.readouterr().err
    assert "1 of 3 inputs explained" in told
    assert "2 could not be explained (1 InterpretationError, 1 JSONDecodeError)" in told
    assert "see run/errors.jsonl" in told
    assert [one["line"] for one in read_lines(tmp_path / "run" / "errors.jsonl")] == [2, 3]
    assert command(*words) == FAILED_INPUTS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a job needs model and inputs and interpreters"),
        (["m"], "a job needs inputs and interpreters"),
        (["m", "i", "--interpreter", "gradient"], "a job needs output, a folder"),
        (["--config", "absent.yaml"], "absent.yaml cannot be read"),
        (["m", "i", "--interpreter", "gradient", "--shard", "2/2"], "shard is i/n"),
        (["m", "i", "--interpreter", "gradient", "--part-size", "0"], "part_size"),
        (["m", "i", "--interpreter", "gradient", "--output-format", "xml"], "output_format"),
        (["m", "i", "--interpreter", "gradient", "--interpreter", "gradient"], "named twice"),
        (["m", "i", "--interpreter", "gradient", "--overwrite", "--retry-errors"], "one of them"),
        (["m", "i", "--interpreter", "gradient", "--overwrite", "--shard", "0/2"], "whole run"),
    ],
)
def test_what_cannot_be_followed_is_an_error_on_one_line(
    command: Command, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("interpret", *words) == 1
    told = capsys.readouterr().err
    assert "allennlp interpret: error: " in told
    assert message in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--params", "{}"], "name the --interpreter before its --params"),
        (["--interpreter", "lime", "--params", "{"], "no JSON"),
        (["--interpreter", "lime", "--params", "3"], "no JSON object"),
        (["--columns", "sentence"], "no KEY=COLUMN: 'sentence'"),
        (["--batch-tokens", "many"], "--batch-tokens"),
        (["--target", "{"], "no JSON object"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_usage(
    command: Command, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("interpret", "m", "i", *words) == 2
    assert message in capsys.readouterr().err


def test_columns(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Job] = []

    def run_job(job: Job, *_: Any) -> Any:
        seen.append(job)
        raise KeyboardInterrupt

    monkeypatch.setattr("allennlp_saliency.jobs.run_job", run_job)
    words = ["interpret", "m", "a.csv", "b.csv", "--interpreter", "lime", "--output", "run"]
    words += ["--columns", "premise=a,hypothesis=b", "--columns", "label=c"]
    words += ["--batch-tokens", "auto", "--shard", "1/3", "--retry-errors"]
    assert command(*words) == 130
    (job,) = seen
    assert job.columns == {"premise": "a", "hypothesis": "b", "label": "c"}
    assert list(job.inputs) == ["a.csv", "b.csv"]
    assert (job.batch_tokens, job.shard, job.retry_errors) == ("auto", (1, 3), True)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_says_how_to_go_on(
    command: Command,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    status: int,
) -> None:
    words = ["interpret", ARCHIVE, inputs, "--interpreter", "gradient", "--part-size", "2"]
    assert command(*words, "--output", "whole") == 0

    def run(self: Any, make: Any, parts: Any) -> Any:
        worker = make()
        for part in parts:
            if part == 2:
                os.kill(os.getpid(), number)
                time.sleep(5)
            yield part, worker.part(part)

    with monkeypatch.context() as patched:
        patched.setattr(local.LocalEngine, "run", run)
        assert command(*words, "--output", "run") == status
    told = capsys.readouterr().err
    assert "parts that are complete are kept, and the same command goes on there" in told
    assert list(RunFolder(tmp_path / "run").done()) == [0, 1]
    assert not json.loads((tmp_path / "run" / "summary.json").read_text())["complete"]
    assert command(*words, "--output", "run") == 0
    assert "2 of 3 parts (4 inputs) are there and are kept" in capsys.readouterr().err
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_after_overwrite_one_goes_on_without_it(
    command: Command,
    inputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "opened", stop)
    words = ["interpret", ARCHIVE, inputs, "--interpreter", "gradient", "--output", "run"]
    assert command(*words, "--overwrite") == 130
    assert "the same command without --overwrite goes on there" in capsys.readouterr().err


def test_shards_are_merged(
    command: Command, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["interpret", ARCHIVE, inputs, "--interpreter", "gradient", "--part-size", "2"]
    assert command(*words, "--output", "whole") == 0
    assert command(*words, "--output", "run-0", "--shard", "0/2") == 0
    assert "1 of 3 parts are other shards', and not complete yet" in capsys.readouterr().err
    assert command("merge-runs", "run-0", "--output", "run") == 1
    assert "1 of 3 parts are complete in none of the runs (number 1)" in capsys.readouterr().err
    assert command(*words, "--output", "run-1", "--shard", "1/2") == 0
    assert command("merge-runs", "run-0", "run-1", "--output", "run") == 0
    assert "run: 5 of 5 inputs explained, 0 failed" in capsys.readouterr().err
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert command("merge-runs", "absent", "--output", "run") == 1
    assert "absent holds no run" in capsys.readouterr().err


@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_a_run_can_be_rendered(
    command: Command,
    inputs: Path,
    tmp_path: Path,
    output_format: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["interpret", ARCHIVE, inputs, "--interpreter", "gradient", "--part-size", "2"]
    words += ["--output-format", output_format, "--output", "run"]
    assert command(*words) == 0
    assert command("render", "run", "--terminal", "--html", "report.html") == 0
    shown = capsys.readouterr()
    for row in LINES:
        assert row["sentence"].split()[1].strip(",.") in shown.out
    assert "report.html: 5 inputs" in shown.err
    assert command("render", "run", "--terminal", "--limit", "1") == 0
    (tmp_path / "empty").mkdir()
    assert command("render", "empty") == 1
    assert "empty holds no run" in capsys.readouterr().err


@pytest.mark.slow
def test_as_a_module(inputs: Path, tmp_path: Path) -> None:
    words = [ARCHIVE, inputs, "--interpreter", "gradient", "--output", tmp_path / "run"]
    done = subprocess.run(
        [sys.executable, "-m", "allennlp_saliency.commands.interpret", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "RuntimeWarning" not in done.stderr
    assert len(list(RunFolder(tmp_path / "run").rows())) == 5
