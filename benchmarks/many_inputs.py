"""`python -m benchmarks.many_inputs`: 1,000 inputs, five interpreters, all metrics, killed twice.

One command, `allennlp compare-interpreters`, on `fixtures/sentiment`: run to its end; run again in
another folder, killed (`kill -9`) when a part is done, and started again. Both tables must be the
same but for the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import allennlp_saliency.plugin  # noqa: F401
from allennlp_saliency.interpret.faithfulness import Metric
from fixtures.data.words import distinct
from fixtures.recipes import RECIPES

INTERPRETERS: tuple[Any, ...] = (
    *("input-x-gradient", "integrated-gradients", "leave-one-out"),
    {"type": "lime", "num_samples": 64},
    {"type": "kernel-shap", "num_samples": 64},
)
# It explains every input again as often: the most of the time.
_FEWER = {"max-sensitivity": {"type": "max-sensitivity", "num_samples": 2}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command twice, and compares the tables.

    Args:
        arguments: Of the command line.

    Returns:
        1 if the tables differ.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_inputs", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="how many; default: 1000")
    parser.add_argument("--kills", type=int, default=2, help="how often; default: 2")
    parser.add_argument("--output", type=Path, help="a folder to keep; default: a temporary one")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        command = write_inputs(folder, options.inputs)
        for kill in range(1, options.kills + 1):
            share = kill * options.inputs // (options.kills + 1)
            killed = timed([*command, "--output", str(folder / "killed")], share)
            print(f"killed after {killed} of {options.inputs} inputs", flush=True)
        timed([*command, "--output", str(folder / "killed")])
        timed([*command, "--output", str(folder / "whole")])
        tables = [without_seconds(folder / name / "table.md") for name in ("killed", "whole")]
        print((folder / "whole" / "table.md").read_text(encoding="utf-8"))
    print("the tables are the same" if tables[0] == tables[1] else "the tables DIFFER")
    return int(tables[0] != tables[1])


def write_inputs(folder: Path, count: int) -> list[str]:
    """Writes inputs and their reasons, and returns the command without its output.

    Args:
        folder: Where to.
        count: How many.
    """
    recipe = RECIPES["sentiment"]
    examples = [one.to_json() for one in distinct(recipe.generate, "many inputs", count)]
    for name, keys in (("inputs", "sentence"), ("rationales", "rationale")):
        lines = [
            {"sentence" if name == "inputs" else "tokens": example[keys]} for example in examples
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return [
        *(sys.executable, "-m", "allennlp", "compare-interpreters"),
        *(str(recipe.folder / "model.tar.gz"), str(folder / "inputs.jsonl")),
        *("--rationales", str(folder / "rationales.jsonl")),
        *("--interpreters", json.dumps(INTERPRETERS)),
        *("--metrics", json.dumps([_FEWER.get(one, one) for one in Metric.list_available()])),
        *("--removal", "mask", "--removal", "delete"),
    ]


def timed(command: Sequence[str], kill_at: int | None = None) -> int:
    """Runs the command and prints what it took.

    Args:
        command: The command.
        kill_at: After how many inputs to kill it; None to let it end.

    Returns:
        How many inputs are done.
    """
    measured = Path(command[-1]) / "measured.jsonl"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(1)
            if kill_at is not None and done(measured) >= kill_at:
                process.send_signal(signal.SIGKILL)
    if kill_at is None and process.returncode:
        raise RuntimeError(f"the command ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{time.perf_counter() - start:.0f} s, {busy:.0f} s of a processor", flush=True)
    return done(measured)


def done(measured: Path) -> int:
    """How many inputs have been written."""
    return measured.read_bytes().count(b'"last": true') if measured.exists() else 0


def without_seconds(table: Path) -> str:
    """The tables without that of the cost."""
    return table.read_text(encoding="utf-8").partition("Cost of an explanation")[0]


if __name__ == "__main__":
    raise SystemExit(main())
