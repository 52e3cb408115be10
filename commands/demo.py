"""`make demo`: the plain `allennlp predict` command on the fixtures, and its lines as heat maps."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

FIXTURES = {
    "sentiment": "a small BERT over wordpieces reads the sentiment of a sentence",
    "sentiment-lstm": "an LSTM does the same",
    "entailment": "two texts: does the premise entail the hypothesis?",
    "ner": "a small BERT tags words; one heat map for each entity",
    "topics": "a bag of embeddings finds one of many topics",
}
_SHOWN_OF_ERROR = 30  # lines


class DemoError(RuntimeError):
    """The demo cannot be shown; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """One fixture's `allennlp predict`.

    Attributes:
        name: The fixture's name.
        command: The command line.
        output: The file of JSON lines that it writes.
    """

    name: str
    command: list[str]
    output: Path


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Interprets a few inputs of every fixture and shows them.

    Args:
        arguments: The command line's, by default `sys.argv`.
        console: Where to print, by default the standard output.

    Returns:
        The exit code: 0, or 1 if a command failed or an input could not be interpreted.
    """
    options = _parser().parse_args(arguments)
    console = console or Console()
    try:
        runs = [_prepared(name, options) for name in FIXTURES]
        _run(runs, options.jobs, console)
        failed = _show(runs, console)
    except DemoError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    _print(console, f"\nJSON lines: {options.output_dir}{os.sep}")
    for run in runs:
        _print(console, f"  {run.output}")
    if failed:
        _print(console, f"{failed} of the inputs could not be interpreted, see above")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m allennlp_saliency.commands.demo", description=__doc__
    )
    parser.add_argument(
        "--interpreter",
        default="integrated-gradients",
        type=_interpreter,
        help="a registered name, or its parameters as JSON: "
        """'{"type": "integrated-gradients", "steps": 64}'""",
    )
    for name, default, kind, text in (
        ("--limit", 2, _positive, "inputs per fixture"),
        ("--output-dir", Path("out", "demo"), Path, "where the JSON lines go"),
        ("--fixtures", Path("fixtures"), Path, "the folder of the trained archives"),
        ("--jobs", 2, _positive, "commands at a time"),
    ):
        parser.add_argument(name, default=default, type=kind, help=f"{text} (default: %(default)s)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _interpreter(text: str) -> str:
    """The predictor's argument, as JSON."""
    if text.lstrip().startswith("{"):
        try:
            return json.dumps(json.loads(text))
        except json.JSONDecodeError as error:
            raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    return json.dumps(text)


def _prepared(name: str, options: argparse.Namespace) -> Run:
    """Writes the inputs of a fixture's run and says how to run it."""
    fixture, folder = options.fixtures / name, options.output_dir
    archive, inputs = fixture / "model.tar.gz", fixture / "inputs.jsonl"
    for path in (archive, inputs):
        if not path.is_file():
            raise DemoError(
                f"there is no {path}: run `make demo` in a clone of the repository, or name its "
                "fixtures with --fixtures; `make fixtures` builds them"
            )
    folder.mkdir(parents=True, exist_ok=True)
    given, output = folder / f"{name}.inputs.jsonl", folder / f"{name}.jsonl"
    lines = _varied(inputs.read_text(encoding="utf-8").splitlines(), options.limit)
    given.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    output.unlink(missing_ok=True)
    command = [_allennlp(), "predict", str(archive), str(given), "--predictor", "saliency"]
    if options.interpreter != '"integrated-gradients"':
        command += ["--predictor-args", f'{{"interpreter": {options.interpreter}}}']
    command += ["--batch-size", "16", "--output-file", str(output), "--silent"]
    return Run(name, command, output)


def _varied(lines: Sequence[str], limit: int) -> list[str]:
    """Some of the lines: different labels first, else from the beginning."""
    first = {json.dumps(json.loads(line).get("label")): line for line in reversed(lines)}
    chosen = [line for line in lines if line in first.values()]
    return [*chosen, *(line for line in lines if line not in chosen)][:limit]


def _allennlp() -> str:
    """The plain command of this environment, as short as it can be typed."""
    found = shutil.which("allennlp", path=str(Path(sys.executable).parent))
    if found is None:
        raise DemoError(f"there is no allennlp command beside {sys.executable}: run `make install`")
    try:
        return str(Path(found).relative_to(Path.cwd()))
    except ValueError:
        return found


def _run(runs: Sequence[Run], jobs: int, console: Console) -> None:
    """Runs the commands, `jobs` at a time; the `DemoError` of one that fails has the end of what it
    said."""
    threads = str(max((os.cpu_count() or 1) // jobs, 1))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    errors: list[str] = []
    with (
        console.status("loading the models and interpreting ...", spinner="line") as status,
        ThreadPoolExecutor(jobs) as pool,
    ):
        waiting: dict[Future[tuple[str, float]], Run] = {
            pool.submit(_finished, run, environment): run for run in runs
        }
        for number, future in enumerate(as_completed(waiting), start=1):
            error, seconds = future.result()
            state = "failed" if error else "done"
            _print(console, f"{waiting[future].name}: {state} in {seconds:.0f} s")
            status.update(f"interpreting: {number} of {len(runs)} fixtures done ...")
            if error:
                errors.append(error)
    if errors:
        hint = "`allennlp-saliency doctor` says whether the installation is sound"
        raise DemoError("\n\n".join([*errors, hint]))


def _finished(run: Run, environment: dict[str, str]) -> tuple[str, float]:
    """Runs a command to its end: what went wrong, empty if nothing did, and the seconds."""
    start = time.monotonic()
    pipes: Any = {"stdin": subprocess.DEVNULL, "capture_output": True, "encoding": "utf-8"}
    done = subprocess.run(run.command, env=environment, errors="replace", check=False, **pipes)
    seconds = time.monotonic() - start
    if done.returncode == 0 and run.output.is_file():
        return "", seconds
    said = (done.stderr + done.stdout).strip().splitlines()[-_SHOWN_OF_ERROR:]
    head = f"exit code {done.returncode} of: {shlex.join(run.command)}"
    return "\n".join([head, *(f"  {line}" for line in said)]), seconds


def _show(runs: Sequence[Run], console: Console) -> int:
    """Prints the heat maps; returns how many inputs could not be interpreted."""
    from allennlp_saliency.views import render_line

    failed = 0
    for run in runs:
        console.print()
        console.rule(f"[bold]{run.name}[/bold]: {FIXTURES[run.name]}", align="left")
        _print(console, f"$ {shlex.join(run.command)}", style="dim")
        lines = [json.loads(line) for line in run.output.read_text("utf-8").splitlines()]
        for number, line in enumerate(lines, start=1):
            console.print()
            failed += "error" in line
            title = f"{run.name}, line {number}"
            render_line(line, console, title=title, legend=number == len(lines))
    return failed


def _print(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
