"""A job from its settings to its folder: what is in it, and that it goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .conftest import contents, read_lines


def test_the_folder(run: Any, tmp_path: Path) -> None:
    summary = run()
    names = set(contents(tmp_path / "run"))
    assert {name for name in names if not name.startswith(".")} == {
        "config.json",
        "errors.jsonl",
        "summary.json",
        *(f"part-0000{n}-of-00003.jsonl" for n in range(3)),
    }
    rows = [
        row
        for n in range(3)
        for row in read_lines(tmp_path / "run" / f"part-0000{n}-of-00003.jsonl")
    ]
    assert [row["id"] for row in rows] == [f"s{n}" for n in range(10)]
    assert summary["complete"]
