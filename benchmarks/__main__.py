"""`python -m benchmarks`: side by side with the peers."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import allennlp_saliency  # noqa: F401  makes AllenNLP importable

from .compare import compare
from .machine import machine, versions
from .rows import rows
from .table import goals, table, write
from .timing import ProcessStage
from .workloads import BERT_BASE, TINY

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
    started = machine(options.device, options.threads)
    chosen = [row for row in rows(options.model) if not options.only or row.name in options.only]
    names = {entry.contestant for row in chosen for entry in row.entries}
    # All import at the same time, and nobody while anybody is timed.
    stages = {name: ProcessStage(name, options.device, options.threads) for name in sorted(names)}
    for one in stages.values():
        one.wait()
    results: dict[str, Any] = {
        "format": 1,
        "date": datetime.date.today().isoformat(),
        "quick": options.quick,
        "machine": started,
        "versions": versions(),
        "rows": [],
    }
    for row in chosen:
        print(f"\n{row.title}", flush=True)
        results["rows"].append(compare(row.quick() if options.quick else row, stages.__getitem__))
        print(table(results["rows"][-1]), flush=True)
    for one in stages.values():
        one.close()
    if options.again:
        results = put_in(results, HERE / "RESULTS.json")
    print(f"\n{goals(results)}")
    changed = options.quick or options.only or options.threads or options.device != "cpu"
    partial = changed or options.model != BERT_BASE
    here = options.again or not partial
    for path in write(results, options.output or (HERE if here else ASIDE)):
        print(f"wrote {path}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [row.name for row in rows()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and texts")
    parser.add_argument("--only", action="append", choices=names, metavar="ROW", help=str(names))
    parser.add_argument(
        "--again",
        action="store_true",
        help="put the rows of --only in the place of what benchmarks/RESULTS.* has of them",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, help="default: as many as there are cores")
    parser.add_argument("--model", choices=[BERT_BASE, TINY], default=BERT_BASE)
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for RESULTS.md and RESULTS.json; default: benchmarks/ for a full run on the "
        "CPU, out/benchmarks/ for any other",
    )
    options = parser.parse_args(arguments)
    if options.again and not options.only:
        parser.error("--again takes the rows that --only names")
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
