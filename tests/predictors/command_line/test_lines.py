"""What is read: lines with their numbers, and other formats by their name."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from .conftest import GOOD, Run

CSV = "sentence,label\na good film,positive\nno,negative\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (CSV, "looks like CSV"),
        (CSV.replace(",", "\t"), "looks like TSV"),
        ("a good film\na bad film\n", "looks like plain text"),
        ("a good film", "looks like plain text"),
        ('[\n  {"sentence": "a"},\n  {"sentence": "b"}\n]\n', "JSON over several lines"),
        ('{\n  "sentence": "a"\n}\n', "JSON over several lines"),
        ('[{"sentence": "a"},\n {"sentence": "b"}]\n', "JSON over several lines"),
        (GOOD.encode("utf-16"), "no UTF-8 text"),
        (b"PK\x03\x04\xff\xfe\x00" * 50, "no UTF-8 text"),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("batch", ["1", "16"])
def test_another_format_is_said_once(run: Run, content: str | bytes, told: str, batch: str) -> None:
    done = run(content, "--batch-size", batch)
    assert done.status == 1
    assert told in done.error
    assert "in.jsonl" in done.error
    assert (done.said, done.text) == ([], None)


@pytest.mark.parametrize("bad", ["a,b,c", "{broken", "5", "[1, 2]", "null"])
def test_a_bad_line_among_others_is_a_line_of_the_output(run: Run, bad: str) -> None:
    done = run(f"{bad}\n\n{GOOD}\n{bad}\n")
    assert done.status == 0
    assert [line.get("error", {}).get("line") for line in done.lines] == [1, None, 4]


def test_four_bad_lines_may_come_first(run: Run) -> None:
    done = run("a\nb\nc\nd\n" + GOOD)
    assert [("error" in line) for line in done.lines] == [True] * 4 + [False]


def test_a_first_line_is_done_before_the_second_is_there(
    run: Run, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever feeds a pipe line by line gets line by line."""
    from allennlp_saliency.predictors.command_line import lines
    from allennlp_saliency.predictors.saliency.json_lines import InputLine

    asked = []

    class Stream(io.StringIO):
        def __next__(self) -> str:
            asked.append(1)
            return super().__next__()

    monkeypatch.setattr("sys.stdin", Stream(f"{GOOD}\n{GOOD}\n"))
    inputs = lines.read("-", lambda line, number: InputLine(json.loads(line), number))
    assert next(inputs).number == 1
    assert len(asked) == 1


def test_compressed_input_and_one_that_is_cut(run: Run, tmp_path: Path) -> None:
    data = gzip.compress(f"{GOOD}\n".encode() * 2000)
    for name, content in (("whole.gz", data), ("cut.gz", data[:-20])):
        (tmp_path / name).write_bytes(content)
    from allennlp_saliency.predictors.command_line import lines

    assert lines.count(str(tmp_path / "whole.gz")) == 2000
    with pytest.raises(Exception, match=r"cut\.gz cannot be read"):
        lines.count(str(tmp_path / "cut.gz"))


def test_no_input_at_all(run: Run) -> None:
    done = run("\n  \n")
    assert (done.status, done.text) == (0, "")
    assert done.said[-1].startswith("allennlp predict: 0 inputs, 0 errors, ")
