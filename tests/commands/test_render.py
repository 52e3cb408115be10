"""`allennlp render`: every view of a file, what is broken in it, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allennlp.commands import main

from tests.jobs.run_folder.canned import write_all
from tests.views.explanations import GOOD, written_text
from tests.views.test_lines import FAILED, WHOLE, written

TEXT = {f"instance_{n}": {"explanation": one.to_json()} for n, one in enumerate(written_text(), 1)}

Command = Callable[..., None]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command with these arguments."""

    def run(*words: Any) -> None:
        monkeypatch.setattr(sys, "argv", ["allennlp", "render", *map(str, words)])
        main(prog="allennlp")

    return run


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return written(tmp_path / "out.jsonl", WHOLE, TEXT, FAILED, GOOD.to_json())


def test_the_help_has_an_example(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command("--help")
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("--html FILE", "--figure FOLDER", "--latex FILE", "--terminal", "--words"):
        assert words in text
    assert "example: allennlp render out.jsonl --html report.html --figure pictures" in text


def test_the_terminal_is_the_default(
    command: Command, lines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(lines)
    page = capsys.readouterr().out
    assert [one for one in page.splitlines() if one.startswith("line ")] == [
        *("line 1", "line 2", "line 3", "line 4")
    ]
    assert page.count("great +0.61") == 2
    assert "token 2 of 3: 'good'" in page
    assert "InterpretationError: too long" in page


def test_every_view_at_once(
    command: Command, lines: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, folder, paper = tmp_path / "x.html", tmp_path / "pictures", tmp_path / "x.tex"
    command(lines, "--html", page, "--figure", folder, "--format", "svg", "--latex", paper)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "<!doctype html>" in page.read_text("utf-8").lower()
    assert "great" in page.read_text("utf-8")
    assert sorted(one.name for one in folder.iterdir()) == [
        *("line-00001.svg", "line-00002.svg", "line-00004.svg")
    ]
    assert r"\colorbox[RGB]" in paper.read_text("utf-8")
    assert f"{page}: 4 inputs\n" in captured.err
    assert f"{folder}: 3 pictures\n" in captured.err
    assert f"{paper}: 3 inputs\n" in captured.err


def test_words_and_a_limit(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = json.loads(json.dumps(GOOD.to_json()))
    pieces["inputs"][0]["tokens"] = ["a", "gre", "##at"]
    path = written(tmp_path / "x.jsonl", pieces, pieces)
    command(path, "--words", "--limit", 1)
    page = capsys.readouterr().out
    assert "great +0.30" in page
    assert "line 2" not in page


@pytest.mark.parametrize("view", [[], ["--html"], ["--figure"], ["--latex"]])
def test_a_broken_line_is_told_with_its_number_and_passed_over(
    view: list[str], command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "x.jsonl", WHOLE, "{broken", WHOLE)
    with pytest.raises(SystemExit) as end:
        command(path, *view, *[tmp_path / "out"][: len(view)])
    assert end.value.code == 1
    captured = capsys.readouterr()
    assert captured.err.count(f"allennlp render: {path}, line 2 is no JSON") == 1
    if not view:
        assert captured.out.count("great +0.61") == 2
    assert not view or (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"), [("", "has no lines"), ("\n\n", "has no lines"), (None, "No such file")]
)
def test_a_file_without_lines_is_an_error_on_one_line(
    text: str | None, message: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "x.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as end:
        command(path)
    code = str(end.value.code)
    assert code.startswith("allennlp render: error: ")
    assert message in code
    assert "\n" not in code


def test_where_nothing_can_be_written_is_an_error(
    command: Command, lines: Path, tmp_path: Path
) -> None:
    for view in ("--html", "--latex"):
        with pytest.raises(SystemExit) as end:
            command(lines, view, tmp_path / "no" / "folder" / "x")
        assert "No such file or directory" in str(end.value.code)


def test_without_matplotlib_the_error_says_what_to_install(
    command: Command, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as end:
        command(lines, "--figure", tmp_path / "x")
    assert "pip install 'allennlp-saliency[figures]'" in str(end.value.code)


def test_as_a_module(lines: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "allennlp_saliency.commands.render", str(lines), "--limit", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "great +0.61" in done.stdout
    assert done.stderr == ""


def test_a_closed_pipe_is_no_error(lines: Path) -> None:
    command = f"{sys.executable} -m allennlp_saliency.commands.render {lines} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stdout == "line 1\n"
    assert "Traceback" not in done.stderr


def test_a_run_that_was_changed(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that is none is told and passed over; a file that is none ends with a sentence."""
    folder = write_all(tmp_path / "run")
    path, state = folder.part_path(0), folder.state_path(0)
    for name in ("part-00001-of-00003", "part-00002-of-00003"):
        (tmp_path / "run" / f"{name}.jsonl").unlink()

    def put(*lines: Any) -> None:
        content = "".join(json.dumps(one) + "\n" for one in lines).encode()
        path.write_bytes(content)
        known = {**json.loads(state.read_text()), "bytes": len(content)}
        state.write_text(json.dumps(known))

    escapes = {**GOOD.to_json(), "target": {"label": "a\x1b[2J\x9b1m"}}
    put(5, {"instance_1": {"explanation": escapes}}, {"instance_1": {"explanation": 5}})
    with pytest.raises(SystemExit) as end:
        command(tmp_path / "run")
    assert end.value.code == 1
    told = capsys.readouterr()
    assert "great" in told.out
    assert "\x1b[2J" not in told.out
    assert "\x9b" not in told.out
    assert "row 1 is no JSON object" in told.err
    assert "row 3" in told.err
    path.write_bytes(b"[" * path.stat().st_size)
    with pytest.raises(SystemExit, match="cannot be read"):
        command(tmp_path / "run")
