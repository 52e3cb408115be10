"""Files of JSON lines are read line by line, and errors say which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from allennlp_saliency.views import LineError, read_lines
from tests.views.explanations import GOOD

WHOLE = {"prediction": {"label": "x"}, "instance_1": {"explanation": GOOD.to_json()}}
FAILED = {"error": {"type": "InterpretationError", "message": "too long"}, "input": {}}


def written(path: Path, *lines: object) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def test_lines_of_the_command_and_explanations_by_themselves(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", WHOLE, "", FAILED, GOOD.to_json(), {"prediction": {}})
    whole, failed, bare, nothing = read_lines(path)
    assert (whole.number, whole.explanations, whole.prediction) == (1, [GOOD], {"label": "x"})
    assert (failed.number, failed.explanations) == (3, [])
    assert failed.error == "InterpretationError: too long"
    assert (bare.number, bare.explanations) == (4, [GOOD])
    assert nothing.explanations == []
    assert nothing.error is None


def test_instances_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    many = {f"instance_{n}": {"explanation": {**GOOD.to_json(), "details": {"n": n}}}
            for n in (10, 2, 1)}  # fmt: skip
    (line,) = read_lines(written(tmp_path / "x.jsonl", many))
    assert [one.details["n"] for one in line.explanations] == [1, 2, 10]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{broken", r"x.jsonl, line 2 is no JSON: .* it begins with '{broken'"),
        ('{"prediction": ', "line 2 is no JSON"),
        ('{"prediction": ' + "[" * 100_000, "line 2 is no JSON: maximum recursion"),
        ([1], "line 2 is no JSON object, but list"),
        ({"text": "a"}, "line 2 holds no explanation; files of explanations are written by"),
        ({"instance_1": {"grad_input_1": [1.0]}}, "line 2 holds no explanation"),
        ({"instance_1": {"explanation": {"format": 99}}}, "line 2: expected an explanation"),
        ({"instance_1": {"explanation": {"format": 1}}}, "line 2: not an explanation"),
    ],
)
def test_a_broken_line_is_an_error_with_its_number(
    line: object, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "x.jsonl", WHOLE, line, WHOLE)
    lines = read_lines(path)
    assert next(lines).number == 1
    with pytest.raises(LineError, match=message):
        next(lines)
    told: list[LineError] = []
    assert [one.number for one in read_lines(path, told.append)] == [1, 3]
    assert len(told) == 1


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe{}\n")
    with pytest.raises(LineError, match="line 1 is no JSON"):
        next(read_lines(tmp_path / "x.jsonl"))


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(WHOLE).encode())
    assert len(list(read_lines(tmp_path / "x.jsonl"))) == 1
