"""`make demo`: what it runs, what it shows, and what it says when something is wrong."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from allennlp_saliency.commands import demo

ROOT = Path(__file__).parents[2]
LINE = {
    "prediction": {"label": "positive", "probs": [0.9, 0.1]},
    "instance_1": {
        "grad_input_1": [0.25, 0.75],
        "explanation": {
            "format": 2,
            "interpreter": {"type": "integrated-gradients"},
            "target": {"type": "logit", "label": "positive", "value": 1.0},
            "convergence_delta": None,
            "inputs": [
                {
                    "field": "tokens",
                    "grad_input": "grad_input_1",
                    "tokens": ["a", "[red]great"],
                    "offsets": [None, None],
                    "attributions": [0.25, 0.75],
                    "unassigned": 0.0,
                }
            ],
            "details": {},
            "warnings": [],
        },
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with fixtures whose archives nobody reads."""
    for name in demo.FIXTURES:
        fixture = tmp_path / "fixtures" / name
        fixture.mkdir(parents=True)
        (fixture / "model.tar.gz").write_bytes(b"")
        lines = [{"sentence": f"{name} caf\u00e9 {n}", "label": "pn"[n > 2]} for n in range(5)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (fixture / "inputs.jsonl").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Puts a script in the place of the command."""
    script = folder / "allennlp"
    script.write_text(f"#!{sys.executable}\nimport sys, json\n{code}\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(demo, "_allennlp", lambda: str(script))


def run(*arguments: str) -> tuple[int, str]:
    stream = io.StringIO()
    code = demo.main(arguments, Console(file=stream, width=100, _environ={}))
    return code, stream.getvalue()


WRITE = f"""
line = {json.dumps(json.dumps(LINE))}
given = open(sys.argv[3], encoding="utf-8").read().splitlines()
output = sys.argv[sys.argv.index("--output-file") + 1]
open(output, "w").write("".join(line + chr(10) for _ in given))
open(output + ".argv", "w").write(json.dumps(sys.argv[1:]))
"""


def test_it_shows_all_fixtures_and_ends_with_the_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(folder, monkeypatch, WRITE)
    code, page = run()
    assert code == 0
    for name in demo.FIXTURES:
        assert f"\n{name}: {demo.FIXTURES[name]}" in page
        assert f"\n{name}, line 2\n" in page
        assert (folder / "out" / "demo" / f"{name}.jsonl").is_file()
    assert page.count("a +0.25  [red]great +0.75") == 10
    assert page.splitlines()[-6:] == [
        "JSON lines: out/demo/",
        *(f"  out/demo/{name}.jsonl" for name in demo.FIXTURES),
    ]


def test_the_command_is_the_plain_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(folder, monkeypatch, WRITE)
    code, page = run("--output-dir", "here", "--limit", "3")
    assert code == 0
    given = json.loads((folder / "here" / "ner.jsonl.argv").read_text(encoding="utf-8"))
    expected = "predict fixtures/ner/model.tar.gz here/ner.inputs.jsonl --predictor saliency "
    expected += "--batch-size 16 --output-file here/ner.jsonl --silent"
    assert given == expected.split()
    assert f"allennlp {' '.join(given)}\n" in page
    lines = (folder / "here" / "ner.inputs.jsonl").read_text(encoding="utf-8").splitlines()
    # One of each label, then the first of the rest.
    assert [json.loads(line)["sentence"] for line in lines] == [
        "ner caf\u00e9 0",
        "ner caf\u00e9 3",
        "ner caf\u00e9 1",
    ]


@pytest.mark.parametrize("given", ["random", '{"type": "random", "seed": 3}'])
def test_another_interpreter(folder: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    stand_in(folder, monkeypatch, WRITE)
    assert run("--interpreter", given, "--output-dir", "here")[0] == 0
    argv = json.loads((folder / "here" / "topics.jsonl.argv").read_text(encoding="utf-8"))
    arguments = json.loads(argv[argv.index("--predictor-args") + 1])
    assert arguments == {"interpreter": json.loads(given) if given[0] == "{" else given}


def test_a_command_that_fails_is_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = 'if "topics" in sys.argv[2]: sys.exit("no [bold] memory")'
    stand_in(folder, monkeypatch, failing + WRITE)
    code, page = run()
    assert code == 1
    assert "topics: failed in " in page
    assert "exit code 1 of: " in page
    assert "\n  no [bold] memory\n" in page
    assert "allennlp-saliency doctor" in page


def test_a_command_that_writes_nothing_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "out" / "demo").mkdir(parents=True)
    (folder / "out" / "demo" / "ner.jsonl").write_text("old", encoding="utf-8")
    stand_in(folder, monkeypatch, "")
    code, page = run()
    assert code == 1
    assert page.count("exit code 0 of: ") == len(demo.FIXTURES)


def test_an_input_that_fails_is_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = {"error": {"type": "KeyError", "message": "no key", "line": 2}, "input": {}}
    stand_in(folder, monkeypatch, f"{WRITE}open(output, 'a').write({json.dumps(error)!r})")
    code, page = run()
    assert code == 1
    assert "line 2: KeyError: no key" in page
    assert "5 of the inputs could not be interpreted" in page


def test_without_fixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, page = run()
    assert code == 1
    assert "there is no fixtures/sentiment/model.tar.gz: run `make demo` in a clone" in page


def test_without_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    code, page = run()
    assert code == 1
    assert "there is no allennlp command beside" in page
    assert "make install" in page


@pytest.mark.parametrize("arguments", [["--limit", "0"], ["--interpreter", "{broken"]])
def test_arguments_that_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        demo.main(arguments)
    assert caught.value.code == 2


def test_the_command_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fixture through the command of this environment, as users run it."""
    name = "sentiment-lstm"
    monkeypatch.setattr(demo, "FIXTURES", {name: demo.FIXTURES[name]})
    monkeypatch.chdir(tmp_path)
    code, page = run("--fixtures", str(ROOT / "fixtures"))
    assert code == 0, page
    assert f"{name}, line 2\n" in page
    assert "integrated-gradients" in page
