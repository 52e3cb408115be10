"""`python -m benchmarks.real`: every method on two real models; writes docs/real-models.md."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from allennlp_saliency.views.figure import save_figure

from . import (
    compared,
    comparisons,
    fetch,
    models,
    rated,
    rated_page,
    sentiment,
    shortcuts,
    shortcuts_page,
)
from .measure import Measured, measure_all
from .page import Results, page, section_in, with_section

DOCS = Path(__file__).resolve().parents[2] / "docs"
SECTIONS = ("shortcuts", "compared-minilm", "compared-smollm2")
# Hours of a core: measured only by name, and kept when the rest is measured again.
LONG = ("rated",)
_PICTURED = 3
_DRAWN = ("integrated-gradients", "deeplift")


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the models, measures, and writes the page and its pictures.

    Args:
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real", description=__doc__)
    parser.add_argument("--output", type=Path, default=DOCS, help="folder; default: docs/")
    parser.add_argument("--texts", type=int, help="explain fewer texts, for a quick look")
    parser.add_argument(
        "--only",
        choices=(*SECTIONS, *LONG),
        action="append",
        help="measure this section again, and leave the rest of the page as it is",
    )
    options = parser.parse_args(arguments)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    start = time.perf_counter()
    path = options.output / "real-models.md"
    sections: dict[str, str] = {}
    if not options.only:
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        sections = {name: own for name in LONG if (own := section_in(before, name)) is not None}
        path.write_text(measured_page(options.output, options.texts), encoding="utf-8")
    for name in options.only or (*SECTIONS, *sections):
        section = sections[name] if name in sections else section_of(name)
        text = with_section(path.read_text(encoding="utf-8"), name, section)
        path.write_text(text, encoding="utf-8")
    print(f"wrote {path} in {time.perf_counter() - start:.0f} s")
    return 0


def measured_page(output: Path, texts: int | None) -> str:
    """The page without its sections on comparisons.

    Args:
        output: The folder that pictures go to.
        texts: How many texts to explain; None for all.
    """
    made = [models.classifier(), models.causal()]
    if texts is not None:
        for one in made:
            del one.inputs[texts:]
    results = [results_of(one, output) for one in made]
    machine = f"one thread of a CPU ({platform.machine()})"
    return page(results, held_out_accuracy(made[0].folder), machine)


def section_of(name: str) -> str:
    """A section on what is compared, by its name."""
    print(name, flush=True)
    if name == "shortcuts":
        return shortcuts_page.section(shortcuts.search())
    if name == "rated":
        folder = rated.explained()
        ratings = rated.read_ratings(folder.with_suffix(".csv"))
        return rated_page.section(rated.read_summary(folder), rated.totals(folder, ratings))
    model = models.classifier() if name == "compared-minilm" else models.causal()
    return compared.section(model, compared.compared(model))


def results_of(model: models.RealModel, output: Path) -> Results:
    """Everything that the page shows of a model.

    Args:
        model: The model.
        output: The folder that pictures go to.
    """
    print(model.title, flush=True)
    methods = measure_all(model)
    (integrated,) = (one for one in methods if one.method == "integrated-gradients")
    return Results(
        model,
        methods,
        comparisons.baselines(model, integrated),
        comparisons.segments(model, integrated.explanations),
        comparisons.peers(model),
        draw(model, methods, output),
    )


def draw(model: models.RealModel, methods: Sequence[Measured], output: Path) -> str:
    """Draws heat maps of the first inputs.

    Args:
        model: The model.
        methods: What every method made of the inputs.
        output: The folder of the page.

    Returns:
        The picture's path, from there.
    """
    drawn = [one.explanations for one in methods if one.method in _DRAWN]
    explained = [one for several in zip(*drawn, strict=True) for one in several]
    path = output / "pictures" / f"real-{model.name}.svg"
    path.parent.mkdir(exist_ok=True)
    save_figure(explained[: _PICTURED * len(_DRAWN)], path)
    return path.relative_to(output).as_posix()


def held_out_accuracy(folder: Path) -> float:
    """The share of held-out texts that the classifier has right."""
    _, held_out = sentiment.split(sentiment.rated_texts(fetch.ratings()))
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return sentiment.accuracy(model, AutoTokenizer.from_pretrained(folder), held_out)


if __name__ == "__main__":
    raise SystemExit(main())
