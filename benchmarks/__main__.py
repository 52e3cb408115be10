"""`python -m benchmarks`: side by side with the peers."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import allennlp_saliency  # noqa: F401  makes AllenNLP importable

from .compare import compare
from .machine import machine, versions
from .process_stage import ProcessStage
from .rows import rows
from .rows.row import BEFORE, Row, beside_before
from .table import goals, table, write
from .workloads import BERT_BASE, SIZES

HERE = Path(__file__).resolve().parent
ASIDE = HERE.parent / "out" / "benchmarks"
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "ALLENNLP_LOG_LEVEL": "WARNING",
    "TRANSFORMERS_VERBOSITY": "error",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints and writes.

    Args:
        arguments: Of the command line.
    """
    options = _options(arguments)
    # For the contestants' processes, which inherit it.
    os.environ.update(QUIET)
    os.environ.pop("OMP_NUM_THREADS", None)
    folder = _folder(options)
    results: dict[str, Any] = {
        "format": 1,
        "date": datetime.date.today().isoformat(),
        "quick": options.quick,
        "clock": "processor" if options.processor else "wall",
        "machine": machine(options.device, options.threads),
        "versions": versions(),
        "rows": [],
    }
    chosen = _chosen(options)
    stages = _stages({entry.contestant for row in chosen for entry in row.entries}, options)
    start = time.monotonic()
    until = None if options.budget is None else start + options.budget
    for row in chosen:
        if until is not None and time.monotonic() > until:
            results.setdefault("left_out", []).append(row.name)
            continue
        print(f"\n{row.title} ({time.monotonic() - start:.0f} s)", flush=True)
        results["rows"].append(compare(row, stages.__getitem__, until=until))
        print(table(results["rows"][-1]), flush=True)
        if not options.again:
            # Whatever happens to the rest.
            write(results, ASIDE if folder == HERE else folder)
    for one in stages.values():
        one.close()
    if options.again:
        results = put_in(results, HERE / "RESULTS.json")
    print(f"\n{goals(results)}")
    if "left_out" in results:
        print(f"left out, as the time was up: {', '.join(results['left_out'])}")
    for path in write(results, folder):
        print(f"wrote {path}")
    return 0


def _chosen(options: argparse.Namespace) -> list[Row]:
    every = rows(options.model)
    # The start of the command has nothing to do with the device.
    every = tuple(row for row in every if options.device == "cpu" or not row.of_the_start)
    named = {row.name: row for row in every}
    chosen = [named[name] for name in options.only if name in named] if options.only else every
    if options.against is not None:
        chosen = [one for row in chosen if (one := beside_before(row)) is not None]
    return [(row.quick() if options.quick else row).of_rounds(options.rounds) for row in chosen]


def _stages(contestants: set[str], options: argparse.Namespace) -> dict[str, ProcessStage]:
    """A process for each contestant, with everything imported: nobody is timed meanwhile."""
    stages = {}
    for name in sorted(contestants):
        module, before, _ = name.partition(BEFORE)
        code = options.against if before else None
        stages[name] = ProcessStage(
            module, options.device, options.threads, options.processor, options.limit, code
        )
    for name, one in stages.items():
        failure = one.wait()
        if failure is not None:
            print(f"{name} takes no part: {failure}", flush=True)
    return stages


def _folder(options: argparse.Namespace) -> Path:
    """Where the results go: beside this file what is a full run, or a part of it again."""
    changed = options.quick or options.only or options.threads or options.device != "cpu"
    changed = changed or options.budget or options.limit or options.rounds or options.against
    partial = changed or options.processor or options.model != BERT_BASE
    return options.output or (HERE if options.again or not partial else ASIDE)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [row.name for row in rows()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and texts")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="ROW",
        help=f"rows to measure, in this order: {names}",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="put the rows of --only in the place of what benchmarks/RESULTS.* has of them",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, help="default: as many as there are cores")
    parser.add_argument("--rounds", type=int, help="how often everybody runs; default: by the row")
    parser.add_argument(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="begin no further row or round after so many seconds of measuring",
    )
    parser.add_argument(
        "--limit",
        type=float,
        metavar="SECONDS",
        help="give up a contestant that takes longer for a warm-up or a round",
    )
    parser.add_argument(
        "--processor",
        action="store_true",
        help="seconds of the processor, of all threads together: for a busy machine",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="compare ours with ours as it is in another checkout of this project, and nobody else",
    )
    parser.add_argument("--model", choices=list(SIZES), default=BERT_BASE)
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for RESULTS.md and RESULTS.json; default: benchmarks/ for a full run on the "
        "CPU, out/benchmarks/ for any other",
    )
    options = parser.parse_args(arguments)
    if options.again and not options.only:
        parser.error("--again takes the rows that --only names")
    if options.against is not None and not (options.against / "interpret").is_dir():
        parser.error(f"--against: {options.against} is no checkout of this project")
    return options


def put_in(results: dict[str, Any], path: Path) -> dict[str, Any]:
    """Earlier results with rows that were measured again, which are named.

    Args:
        results: The rows measured now.
        path: The earlier results.

    Raises:
        SystemExit: If machine, versions or thoroughness are others.
    """
    earlier = json.loads(path.read_text(encoding="utf-8"))
    same = all(earlier[key] == results[key] for key in ("versions", "quick"))
    machines = [{**one["machine"], "load_before": None} for one in (earlier, results)]
    if not same or machines[0] != machines[1]:
        raise SystemExit(f"{path} was measured on another machine or with other versions")
    new = {row["name"]: row for row in results["rows"]}
    order = [row.name for row in rows()]
    kept = {row["name"]: row for row in earlier["rows"]} | new
    earlier["rows"] = [kept[name] for name in order if name in kept]
    again = {*earlier.get("again", []), *new}
    earlier["again"] = [name for name in order if name in again]
    return earlier


if __name__ == "__main__":
    sys.exit(main())
