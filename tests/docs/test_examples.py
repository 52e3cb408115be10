"""Every command and every piece of Python in the README and the docs runs, page by page."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from allennlp.common import Registrable

from allennlp_saliency.commands.explore import command as explore
from allennlp_saliency.interpret import SaliencyInterpreter
from tests.zoo import task_models

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What sets up environments is run by CI, by `make` itself and by the slow packaging tests.
ELSEWHERE = ("curl ", "make ", "pip install", "git ", "allennlp-saliency ", "python docs/")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHELL = ("", "bash", "sh", "console")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the fixtures, three inputs each: enough to see that a command runs."""
    for folder in (ROOT / "fixtures").iterdir():
        if (folder / "model.tar.gz").is_file():
            copy = tmp_path / "fixtures" / folder.name
            copy.mkdir(parents=True)
            (copy / "model.tar.gz").symlink_to(folder / "model.tar.gz")
            _shorten(folder / "inputs.jsonl", copy / "inputs.jsonl")
    # The README's `model.tar.gz` and `inputs.jsonl` stand for the reader's own.
    shutil.copy(ROOT / "fixtures" / "topics" / "model.tar.gz", tmp_path)
    _shorten(ROOT / "fixtures" / "topics" / "inputs.jsonl", tmp_path / "inputs.jsonl")
    # So does `my-model` for a folder of Hugging Face.
    task_models.model("bert", "text-classification").save_pretrained(tmp_path / "my-model")
    task_models.tokenizer("wordpiece").save_pretrained(tmp_path / "my-model")
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    # What an example registers is gone after it.
    registered = dict(Registrable._registry[SaliencyInterpreter])
    monkeypatch.setitem(Registrable._registry, SaliencyInterpreter, registered)
    return tmp_path


def _shorten(source: Path, target: Path) -> None:
    lines = source.read_text("utf-8").splitlines(keepends=True)
    target.write_text("".join(lines[:3]), encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_runs(
    page: Path,
    clone: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if page.name == "gallery.md":
        pytest.importorskip("allennlp_models")
    names: dict[str, object] = {"__name__": "docs"}
    for language, text in _FENCE.findall(page.read_text("utf-8")):
        if language == "python":
            exec(compile(text, str(page), "exec"), names)
        elif language in _SHELL:
            for line in _commands(text):
                _run(line, monkeypatch)
                assert '"error"' not in capsys.readouterr().out, line


def _commands(text: str) -> Iterator[str]:
    joined = re.sub(r"\\\n\s*", "", text)
    for line in joined.splitlines():
        if line.strip() and not line.startswith((" ", "#", *ELSEWHERE)):
            yield line


def _run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from allennlp.commands import main

    # A server would wait for the end of the test.
    monkeypatch.setattr(explore, "serve", lambda *given: None)
    monkeypatch.setattr(explore, "_listen", lambda host, port: socket.create_server((host, 0)))
    program, *words = shlex.split(line, comments=True)
    assert program.removeprefix(".venv/bin/") == "allennlp", f"no test runs {line!r}"
    monkeypatch.setattr(sys, "argv", ["allennlp", *words])
    main(prog="allennlp")
