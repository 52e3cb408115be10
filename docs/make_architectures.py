"""Writes `docs/architectures.md`: which architectures are explained rightly, as measured.

Run from a clone: `make docs`, or `python docs/make_architectures.py [--failed] [NAME ...]`. With
names of architectures, or of pairs (`bert:masked-lm`), it prints their rows and writes no page.
Results are added to `out/architectures.jsonl` as they come; with `--failed` only those pairs are
checked again that have a fault there or are missing.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "lib")]
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import every_architecture  # noqa: E402
import methods_by_architecture  # noqa: E402

from tests.zoo.architectures import FAULTS, Pair, Result, chosen, pairs, sweep  # noqa: E402
from tests.zoo.architectures.result import read  # noqa: E402

PAGE = ROOT / "docs" / "architectures.md"
RESULTS = ROOT / "out" / "architectures.jsonl"
HEAD = """# Architectures

Written by `docs/make_architectures.py`; change nothing here by hand.
"""


def checked(todo: Sequence[Pair], processes: int) -> dict[str, Result]:
    """The results of pairs, each written to `RESULTS` as it comes."""
    RESULTS.parent.mkdir(exist_ok=True)
    found = {}
    with RESULTS.open("a", encoding="utf-8") as file:
        for number, one in enumerate(sweep(todo, processes), start=1):
            file.write(one.to_json() + "\n")
            file.flush()
            found[one.pair] = one
            if sys.stderr.isatty():
                print(f"\r{number} of {len(todo)}", end="", file=sys.stderr, flush=True)
    return found


def main(arguments: Sequence[str]) -> None:
    """Checks what is asked for, and prints the rows or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", help="architectures, or architecture:task")
    parser.add_argument("--failed", action="store_true", help="only what failed the last time")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    todo = chosen(given.names) if given.names else pairs()
    every = [one.name for one in todo]
    before = read(RESULTS) if given.failed else {}
    if given.failed:
        todo = [p for p in todo if p.name not in before or before[p.name].status in FAULTS]
    found = {**before, **checked(todo, given.processes)}
    results = {name: found[name] for name in every}
    if given.names:
        print(every_architecture.rows(results.values()))
        return
    full = methods_by_architecture.measured([], given.processes)
    parts = (HEAD, every_architecture.page(results), methods_by_architecture.page(full))
    PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
