"""The standard input and pipes, which can be read once."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.jobs.sources import Source, open_source


def rows_of(source: Source) -> list[Any]:
    return [item.given for item in source.items(0, source.count())]


class Standard(io.TextIOWrapper):
    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize("format", [None, "csv"])
def test_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str | None) -> None:
    content = b'{"sentence": "a"}\n' if format is None else b"sentence\na\n"
    keep = tmp_path / "kept"
    monkeypatch.setattr(sys, "stdin", Standard(content))
    source = open_source("-", keep=keep, format=format)
    assert source.name == "the standard input"
    assert rows_of(source) == [{"sentence": "a"}]
    assert keep.read_bytes() == content
    for stdin in (Standard(content), Standard(b""), Standard(b"", terminal=True), None):
        monkeypatch.setattr(sys, "stdin", stdin)
        assert rows_of(open_source(["-"], keep=keep, format=format)) == [{"sentence": "a"}]
    monkeypatch.setattr(sys, "stdin", Standard(b"other"))
    with pytest.raises(ConfigurationError, match="--overwrite"):
        open_source("-", keep=keep, format=format)
    assert keep.read_bytes() == content


def test_it_needs_a_place() -> None:
    with pytest.raises(ConfigurationError, match="can be read only once"):
        open_source("-")


def test_a_pipe_with_a_name(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = json.dumps({"sentence": "a"}).encode()
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    source = open_source(str(pipe), keep=tmp_path / "kept")
    writer.join()
    assert rows_of(source) == [{"sentence": "a"}]
    with pytest.raises(ConfigurationError, match="more than one can be read only once"):
        open_source([str(pipe), "-"], keep=tmp_path / "kept")
