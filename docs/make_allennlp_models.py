"""Writes `docs/allennlp-models.md` and the README's table: models of AllenNLP, as measured.

Run from a clone: `make docs`, or `python docs/make_allennlp_models.py [NAME ...]`. With names of
archives of `tests/zoo/allennlp_models` it prints their rows and writes nothing.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "lib")]
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import models_of_allennlp  # noqa: E402
import models_of_allennlp_page as tables  # noqa: E402

from tests.zoo.allennlp_models import ARCHIVES  # noqa: E402

PAGE = ROOT / "docs" / "allennlp-models.md"
README = ROOT / "README.md"
START, END = "<!-- allennlp-models -->", "<!-- /allennlp-models -->"


def main(names: Sequence[str]) -> None:
    """Measures what is asked for, and prints the rows or writes the page and the table."""
    found = []
    for one in models_of_allennlp.measured(names or ARCHIVES):
        found.append(one)
        if sys.stderr.isatty():
            print(one.name, file=sys.stderr, flush=True)
    if names:
        print(tables.what(found), tables.numbers(found), tables.short(found), sep="\n\n")
        return
    PAGE.write_text(tables.page(found), encoding="utf-8")
    before, rest = README.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    README.write_text(f"{before}{START}\n{tables.short(found)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
