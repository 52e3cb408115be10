"""`allennlp compare-interpreters`: its tables, its errors, and that a killed run goes on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allennlp.commands import main

from allennlp_saliency.commands import compare_interpreters
from tests.zoo import task_models

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "fixtures" / "topics" / "model.tar.gz"
LINES = (ROOT / "fixtures" / "topics" / "inputs.jsonl").read_text("utf-8").splitlines()
SETTINGS = ["--interpreters", "leave-one-out,input-x-gradient", "--removal", "mean"]
SETTINGS += ["--metrics", "comprehensiveness,sufficiency"]
# Kills its own process when what was measured of the first inputs has been written.
KILLED = """
import os, signal, sys
import allennlp_saliency
from allennlp.commands import main
from allennlp_saliency.interpret.faithfulness.comparing import RecordStore

write = RecordStore.write

def write_and_die(self, *args):
    write(self, *args)
    os.kill(os.getpid(), signal.SIGKILL)

RecordStore.write = write_and_die
main(prog="allennlp")
"""

Command = Callable[..., None]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.jsonl"
    path.write_text("\n".join(LINES[:3]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command with these arguments."""

    def run(*words: Any) -> None:
        argv = ["allennlp", "compare-interpreters", *map(str, words)]
        monkeypatch.setattr(sys, "argv", argv)
        main(prog="allennlp")

    return run


def without_seconds(table: str) -> str:
    """The tables without that of the cost."""
    before, _, cost = table.partition("Cost of an explanation")
    assert "| seconds per input | forward passes per input |" in cost
    return before


def test_the_help_says_what_there_is(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command("--help")
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        *("--interpreters", "--metrics", "--removal", "--rationales", "--output", "--limit"),
        *("'random' always takes part", "comprehensiveness,sufficiency", "the same command again"),
        "example: allennlp compare-interpreters model.tar.gz",
    ):
        assert words in text


def test_allennlp_lists_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["allennlp", "--help"])
    with pytest.raises(SystemExit):
        main(prog="allennlp")
    assert "compare-interpreters" in capsys.readouterr().out


def test_the_table_is_printed_and_written(
    command: Command, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "compared"
    command(ARCHIVE, inputs, *SETTINGS, "--removal", "zero", "--output", folder)
    printed = capsys.readouterr().out
    assert printed.strip() == (folder / "table.md").read_text("utf-8").strip()
    assert re.findall("^Removal: (.*)$", printed, re.MULTILINE) == ["mean", "zero"]
    assert "| interpreter | comprehensiveness ↑ | sufficiency ↓ |" in printed
    conclusions = [
        json.loads(line) for line in (folder / "conclusions.jsonl").read_text("utf-8").splitlines()
    ]
    assert [(one["metric"], one["removal"]) for one in conclusions] == [
        (metric, removal)
        for metric in ("comprehensiveness", "sufficiency")
        for removal in ("mean", "zero")
    ]
    for one in conclusions:
        told = one["conclusion"].partition(": ")[2]
        assert told.startswith("nothing can be concluded: it takes at least 6 inputs ")
        assert told in printed
    rows = [json.loads(line) for line in (folder / "table.jsonl").read_text("utf-8").splitlines()]
    assert [(row["removal"], row["interpreter"]) for row in rows] == [
        (removal, method)
        for removal in ("mean", "zero")
        for method in ("leave-one-out", "input-x-gradient", "random")
    ]
    for row in rows:
        shown = row["comprehensiveness"]
        assert shown["inputs"] == 3
        assert shown["low"] <= shown["mean"] <= shown["high"]
        cell = f"{shown['mean']:.3f} [{shown['low']:.3f}, {shown['high']:.3f}]"
        assert f"| {row['interpreter']} | {cell} |" in printed


def test_figures_stand_beside_the_tables(command: Command, inputs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "compared"
    command(ARCHIVE, inputs, *SETTINGS, "--output", folder)
    names = ("metrics", "agreement", "comprehensiveness-mean", "sufficiency-mean")
    for name in names:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        drawn = (folder / f"{name}.svg").read_text("utf-8")
        assert "leave-one-out" in drawn
        assert "random" in drawn


def test_without_figures_there_are_tables(
    command: Command,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: Any) -> None:
        raise ModuleNotFoundError("pictures need matplotlib")

    monkeypatch.setattr(compare_interpreters, "save_comparison_figures", fails)
    command(ARCHIVE, inputs, *SETTINGS, "--output", tmp_path / "compared")
    assert (tmp_path / "compared" / "table.md").exists()
    assert "there are no figures: pictures need matplotlib" in capsys.readouterr().err


def test_params_are_json_and_reasons_have_a_file(
    command: Command, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = tmp_path / "rationales.jsonl"
    known = [{"tokens": json.loads(line)["rationale"]} for line in LINES[:3]]
    reasons.write_text("".join(json.dumps(one) + "\n" for one in known), encoding="utf-8")
    command(
        *(ARCHIVE, inputs, "--limit", "2", "--rationales", reasons),
        *("--interpreters", '[{"type": "lime", "num_samples": 512, "baseline": "mean"}]'),
        *("--metrics", '["rationale-f1", {"type": "sufficiency", "normalized": true}]'),
        *("--removal", '{"type": "token", "token": "the"}'),
    )
    printed = capsys.readouterr().out
    assert "Removal: token (token the)" in printed
    assert "| rationale-f1 ↑ | sufficiency (normalized True) ↑ |" in printed
    assert re.search(r"^\| lime \| 1\.000 ", printed, re.MULTILINE)


def test_a_killed_run_goes_on_to_the_same_table(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, folder = tmp_path / "inputs.jsonl", tmp_path / "compared"
    inputs.write_text("\n".join(LINES[:18]) + "\n", encoding="utf-8")
    words = ["compare-interpreters", str(ARCHIVE), str(inputs), *SETTINGS, "--output", str(folder)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *words], cwd=ROOT, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    written = (folder / "measured.jsonl").read_text("utf-8").splitlines()
    assert 0 < len({json.loads(line)["input"] for line in written}) < 18
    assert not (folder / "table.md").exists()
    command(ARCHIVE, inputs, *SETTINGS, "--output", folder)
    resumed = capsys.readouterr().out
    assert (folder / "measured.jsonl").read_text("utf-8").splitlines()[: len(written)] == written
    command(ARCHIVE, inputs, *SETTINGS)
    assert without_seconds(resumed) == without_seconds(capsys.readouterr().out)
    assert "[" in without_seconds(resumed)


def test_an_input_that_fails_ends_with_1_after_the_table(
    command: Command, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs.write_text(f'{LINES[0]}\n{{"wrong": 1}}\n{LINES[1]}\n', encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        command(ARCHIVE, inputs, *SETTINGS)
    assert end.value.code == 1
    captured = capsys.readouterr()
    assert "| leave-one-out | " in captured.out
    assert re.search("^input 2: .*wrong|^input 2: .*sentence", captured.err, re.MULTILINE)


def test_the_same_error_is_told_once(
    command: Command, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [LINES[0], *[json.dumps({"wrong": 1})] * 11, LINES[1]]
    inputs.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        command(ARCHIVE, inputs, *SETTINGS)
    captured = capsys.readouterr()
    (line,) = [one for one in captured.err.splitlines() if one.startswith("input")]
    assert line.startswith("inputs 2, 3, 4, 5, 6, 7, 8, 9 and 3 more: ")
    assert "Compared on 2 of 13 inputs, the others could not be measured." in captured.out


def test_what_does_not_fit_the_model_is_left_out_and_ends_with_1(
    command: Command, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = ["--metrics", "comprehensiveness", "--interpreters"]
    with pytest.raises(SystemExit) as end:
        command(ARCHIVE, inputs, *rest, "attention,lime", "--removal", "mean")
    assert end.value.code == 1
    printed = capsys.readouterr().out
    assert "| lime | " in printed
    assert "| attention | " not in printed
    assert "- left out: attention, which does not fit the model: BasicClassifier has no " in printed
    # The removals by default are a proposal, and this vocabulary has no mask.
    command(ARCHIVE, inputs, *rest, "lime")
    printed = capsys.readouterr().out
    assert "- left out: removal mask, which fails on the first 3 inputs: the embedding " in printed
    with pytest.raises(SystemExit) as end:
        command(ARCHIVE, inputs, *rest, "lime", "--removal", "mask", "--removal", "mean")
    assert end.value.code == 1
    with pytest.raises(SystemExit) as end:
        command(ARCHIVE, inputs, *rest, "attention,value-zeroing", "--removal", "mean")
    assert str(end.value.code).startswith(
        "allennlp compare-interpreters: error: no interpreter is left to compare\n  attention does"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            ["--interpreters", "leaveoneout"],
            "unknown interpreter: 'leaveoneout'; did you mean 'leave-one-out'?; there are: ",
        ),
        (["--interpreters", "smoothgrad"], "did you mean 'smooth-gradients'?"),
        (["--interpreters", "no-such"], "once its module is imported, --include-package MODULE"),
        (["--interpreters", '[{"type": "lime", "sample": 3}]'], "did you mean 'num_samples'"),
        (["--interpreters", "[3]"], "interpreter is a registered name or an object with one"),
        (["--interpreters", "simple-gradient"], "'simple-gradient' gives scores without the "),
        (["--metrics", "no-such"], "there is no metric 'no-such'; there are completeness-error, "),
        (["--removal", "no-such"], "there is no 'no-such'; there are "),
        (["--removal", '{"type": "mean", "wrong": 1}'], "wrong"),
        (["--rationales", "absent.jsonl"], "absent.jsonl"),
    ],
)
def test_what_there_is_not_is_an_error_on_one_line(
    command: Command, inputs: Path, changed: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as end:
        command(ARCHIVE, inputs, *SETTINGS, *changed)
    code = str(end.value.code)
    assert code.startswith("allennlp compare-interpreters: error: ")
    assert message in code


@pytest.mark.parametrize(
    ("text", "message"), [("{\n", "line 1 is no JSON"), ("\n", "has no lines")]
)
def test_a_file_without_inputs_is_an_error(
    command: Command, inputs: Path, text: str, message: str
) -> None:
    inputs.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        command(ARCHIVE, inputs, *SETTINGS)
    assert message in str(end.value.code)


def test_a_table_is_read_as_by_interpret(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [json.loads(line)["sentence"] for line in LINES[:2]]
    lines, table = tmp_path / "inputs.jsonl", tmp_path / "inputs.csv"
    lines.write_text("".join(json.dumps({"sentence": one}) + "\n" for one in texts), "utf-8")
    table.write_text("id,review\n" + "".join(f'{n},"{one}"\n' for n, one in enumerate(texts)))
    printed = []
    for path in (lines, table):
        command(ARCHIVE, path, *SETTINGS, "--output", tmp_path / path.suffix[1:])
        rows = (tmp_path / path.suffix[1:] / "table.jsonl").read_text("utf-8").splitlines()
        kept = [json.loads(row) for row in rows]
        printed.append([{k: v for k, v in row.items() if "second" not in k} for row in kept])
    assert printed[0] == printed[1]
    table.write_text('id,review\n1,"a"\n2\n')
    with pytest.raises(SystemExit, match=r"inputs\.csv, line 3: the row has 1 cells"):
        command(ARCHIVE, table, *SETTINGS)


def test_a_folder_of_other_settings_is_refused(
    command: Command, inputs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "compared"
    command(ARCHIVE, inputs, *SETTINGS, "--output", folder)
    with pytest.raises(SystemExit) as end:
        command(ARCHIVE, inputs, *SETTINGS, "--output", folder, "--seed", "1")
    assert "holds a comparison with other seed" in str(end.value.code)


@pytest.mark.parametrize("words", ["[", '["lime"', "{"])
def test_params_that_are_no_json_are_refused_with_the_usage(
    command: Command, inputs: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    option = "--removal" if words == "{" else "--interpreters"
    with pytest.raises(SystemExit) as end:
        command(ARCHIVE, inputs, *SETTINGS, option, words)
    assert end.value.code == 2
    assert "no JSON" in capsys.readouterr().err


def test_a_folder_of_hugging_face(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, inputs = tmp_path / "model", tmp_path / "inputs.jsonl"
    task_models.model("bert", "text-classification").save_pretrained(folder)
    task_models.tokenizer("wordpiece").save_pretrained(folder)
    inputs.write_text(json.dumps(task_models.inputs("bert", "text-classification")[0]) + "\n")
    command(folder, inputs, *SETTINGS)
    assert "| input-x-gradient | " in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        command(tmp_path / "absent", inputs, *SETTINGS)
    assert f"there is no folder '{tmp_path / 'absent'}'" in str(end.value.code)
