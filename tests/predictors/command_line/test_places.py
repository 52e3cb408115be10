"""Nothing that is read is written over, whatever names lead to it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from .conftest import GOOD, Run

LINES = f"{GOOD}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(archive: Path, tmp_path: Path) -> Path:
    """The archive as a folder."""
    with tarfile.open(archive) as members:
        members.extractall(tmp_path / "folder", filter="data")
    return tmp_path / "folder"


class To:
    """A standard output that goes to a file, as `>>` makes it."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a", encoding="utf-8")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


NAMES = ["file://{}/in.jsonl", "~/in.jsonl"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", [(), ("--use-dataset-reader",)])
def test_an_input_whose_name_is_rewritten(
    run: Run, home: Path, name: str, reader: tuple[str, ...]
) -> None:
    (home / "in.jsonl").write_text(LINES, encoding="utf-8")
    done = run(None, *reader, given=name.format(home), output="in.jsonl")
    assert (done.status, "is the same file as the input" in done.error) == (1, True)
    assert done.text == LINES


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_whose_name_is_rewritten(run: Run, home: Path, archive: Path, name: str) -> None:
    (home / "in.jsonl").write_bytes(archive.read_bytes())
    (home / "other").write_text(LINES, encoding="utf-8")
    done = run(None, given="other", model=name.format(home), output="in.jsonl")
    assert (done.status, "is the same file as the archive" in done.error) == (1, True)
    assert (home / "in.jsonl").read_bytes() == archive.read_bytes()


def test_files_that_a_reader_finds(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a-1").write_text(LINES, encoding="utf-8")
    done = run(None, "--use-dataset-reader", given="a-*", output="a-1")
    assert "is the same file as the input" in done.error
    assert done.text == LINES


@pytest.mark.parametrize("what", ["the input", "the archive"])
def test_a_standard_output_that_is_read(
    run: Run, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = tmp_path / "in.jsonl" if what == "the input" else archive
    (tmp_path / "in.jsonl").write_text(LINES, encoding="utf-8")
    before = path.read_bytes()
    monkeypatch.setattr("sys.stdout", To(path))
    done = run(None, words=(), output=None)
    assert done.error.startswith(
        f"allennlp predict: error: the standard output is the same file as {what}"
    )
    assert path.read_bytes() == before


def test_a_standard_input_that_is_the_standard_output(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(LINES, encoding="utf-8")
    monkeypatch.setattr("sys.stdout", To(path))
    with path.open(encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        done = run(None, given="-", words=(), output=None)
    assert "the standard output is the same file as the input" in done.error
    assert path.read_text(encoding="utf-8") == LINES


def test_a_standard_output_that_is_another_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = To(tmp_path / "other")
    monkeypatch.setattr("sys.stdout", stdout)
    done = run(LINES, words=(), output=None)
    assert (done.status, done.error) == (0, "")
    assert "prediction:" in (tmp_path / "other").read_text(encoding="utf-8")


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("output", ["out.jsonl", None])
def test_a_standard_output_that_is_closed(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed: bool, output: str | None
) -> None:
    stdout = None
    if closed:
        stdout = To(tmp_path / "other")
        stdout.file.close()
    monkeypatch.setattr("sys.stdout", stdout)
    done = run(LINES, words=("--silent",) if output else (), output=output)
    assert done.status == (0 if output else 1)
    assert ("the standard output is closed" in done.error) is (output is None)


@pytest.mark.parametrize(
    "output",
    ["config.json", "weights.th", "vocabulary/labels.txt", "vocabulary/../new", "new.jsonl"],
)
@pytest.mark.parametrize("name", ["{}/folder", "file://{}/folder", "linked"])
def test_an_output_in_the_folder_of_the_archive(
    run: Run, folder: Path, output: str, name: str
) -> None:
    (folder.parent / "linked").symlink_to(folder)
    path = folder / output
    before = path.read_bytes() if path.exists() else None
    done = run(LINES, model=name.format(folder.parent), output=str(path))
    assert done.status == 1
    assert "which is the archive" in done.error
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_link_to_a_file_of_the_archive(run: Run, folder: Path) -> None:
    os.link(folder / "vocabulary" / "labels.txt", folder.parent / "out.jsonl")
    done = run(LINES, model=folder)
    assert "the same file as the archive's file 'vocabulary/labels.txt'" in done.error
    assert done.text == "positive\nnegative\n"


def test_a_name_that_is_no_file(run: Run) -> None:
    done = run(None, given="nowhere://x")
    assert (done.status, "the input nowhere://x cannot be read" in done.error) == (1, True)
