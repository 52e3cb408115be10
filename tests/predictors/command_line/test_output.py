"""The output file ends with a whole line, and an older one stays until there is a newer."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from allennlp_saliency.predictors.command_line import output as module
from allennlp_saliency.predictors.command_line.output import OutputError, OutputFile


class SmallDisk:
    """A file on a disk with room for some bytes, which takes as much of a write as there is."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: memoryview) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._file.write(data[: self._room])
        self._room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 1, 9, 10, 11, 25, 29])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    original = module.FileIO
    monkeypatch.setattr(module, "FileIO", lambda *given: SmallDisk(original(*given), room))
    path = tmp_path / "out.jsonl"
    file = OutputFile(str(path))
    lines = [f'{{"a": {number}}}\n'.rjust(10) for number in range(3)]
    for line in lines[: room // 10]:
        file.write(line)
    with pytest.raises(OutputError, match=r"cannot write to .*out\.jsonl: No space left"):
        file.write(lines[room // 10])
    file.close()
    assert path.read_text(encoding="utf-8") == "".join(lines[: room // 10])


def test_an_interrupt_within_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(SmallDisk):
        def write(self, data: memoryview) -> int:
            if len(data) > 12:
                self._file.write(data[:5])
                raise KeyboardInterrupt
            return self._file.write(data)

    original = module.FileIO
    monkeypatch.setattr(module, "FileIO", lambda *given: Interrupted(original(*given), 0))
    file = OutputFile(str(tmp_path / "out.jsonl"))
    file.write('{"a": 1}\n')
    with pytest.raises(KeyboardInterrupt):
        file.write('{"a": "long enough"}\n')
    file.close()
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == '{"a": 1}\n'


def test_an_older_file_stays_until_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old\n", encoding="utf-8")
    file = OutputFile(str(path))
    assert not file.opened
    file.close()
    assert path.read_text(encoding="utf-8") == "old\n"
    file.write("new\n")
    file.close()
    file.close()
    assert path.read_text(encoding="utf-8") == "new\n"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        OutputFile(str(tmp_path / "none" / "out.jsonl")).write("a\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_a_full_device(tmp_path: Path) -> None:
    file = OutputFile("/dev/full")
    with pytest.raises(OutputError, match="/dev/full: No space left"):
        file.write("a\n")
    file.close()
