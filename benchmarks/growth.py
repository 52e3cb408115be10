"""`python -m benchmarks.growth`: how seconds grow with inputs, tokens, steps, generated tokens and
the model, beside the least that the same rows cost; writes docs/speed.md and its pictures."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import torch
from allennlp.predictors import Predictor

from .case import Case, Job
from .workloads import (
    BertSize,
    GPT2Size,
    continued,
    random_classifier,
    random_language_model,
    sentences,
)

DOCS = Path(__file__).resolve().parents[1] / "docs"
_CLASSIFIER = BertSize(128, 4, 4, 512, 1000)
_LANGUAGE_MODEL = GPT2Size(128, 4, 4, 1000)
_COLOURS = {"ours": "#1f5fa8", "least": "#b5541c"}
_HEAD = """\
# How seconds grow

Written by `python -m benchmarks.growth`; change nothing here by hand.

Seconds of the processor on one thread, the median of {rounds} rounds in which both took turns, with
models of random weights. *Least* is plain torch: the forward and backward passes of exactly the
rows needed and one forward pass for the label, wordpieces given; of generated text one forward pass
and one backward pass for each token. The slope is that of a straight line through the larger half
of the points in a log-log figure: 1 is linear. Rows of BERT's size, with peers, are in
[benchmarks/RESULTS.md](../benchmarks/RESULTS.md), those on a GPU in [gpu.md](gpu.md).
"""


@dataclass(frozen=True)
class Growth:
    """A job at several sizes.

    Attributes:
        name: For the picture's file.
        title: What is done.
        of: What grows.
        sizes: How large it is.
        predictor: The predictor to explain at a size.
        case: The case at a size; its model is not looked at.
        least: The module in `contestants/` that does the least.
    """

    name: str
    title: str
    of: str
    sizes: Sequence[int]
    predictor: Callable[[int], Predictor]
    case: Callable[[int], Case]
    least: str = "lower_bound_labelled"


@dataclass(frozen=True)
class Grown:
    """What was measured of it: at each size the median seconds of ours and of the least."""

    growth: Growth
    seconds: dict[str, list[float]]

    def slope(self, who: str) -> float:
        """The slope through the larger half of the points."""
        start = min(len(self.growth.sizes) // 2, len(self.growth.sizes) - 2)
        return slope(self.growth.sizes[start:], self.seconds[who][start:])


def growths() -> tuple[Growth, ...]:
    """Everything that is measured."""
    sentence = Case("", sentences([26]))
    generated = replace(sentence, method="input-x-gradient", steps=1)

    def classifier(_: int) -> Predictor:
        return random_classifier(_CLASSIFIER, "cpu")

    return (
        Growth(
            "inputs",
            "Integrated gradients, 10 steps, of sentences of 26 tokens",
            "inputs",
            (1, 2, 4, 8, 16, 32, 64),
            classifier,
            lambda size: replace(sentence, texts=sentences([26] * size)),
        ),
        Growth(
            "tokens",
            "Integrated gradients, 10 steps, of one sentence",
            "tokens",
            (8, 16, 32, 64, 128, 256, 512),
            classifier,
            lambda size: replace(sentence, texts=sentences([size])),
        ),
        Growth(
            "steps",
            "Integrated gradients of one sentence of 26 tokens",
            "steps",
            (2, 4, 8, 16, 32, 64, 128, 256),
            classifier,
            lambda size: replace(sentence, steps=size),
        ),
        Growth(
            "generated",
            "Input x gradient of the tokens generated after a prompt of 64 tokens",
            "generated tokens",
            (1, 2, 4, 8, 16, 32),
            lambda _: random_language_model(_LANGUAGE_MODEL, "cpu"),
            lambda size: replace(generated, texts=continued(64, size)),
            "generation.lower_bound",
        ),
        Growth(
            "width",
            "Integrated gradients, 10 steps, of one sentence of 26 tokens, by a BERT of 4 layers",
            "width of the model",
            (32, 64, 128, 256, 512, 768),
            lambda size: random_classifier(BertSize(size, 4, 4, 4 * size, 1000), "cpu"),
            lambda _: sentence,
        ),
    )


def measured(growth: Growth, rounds: int) -> Grown:
    """Runs both at every size, in turns.

    Args:
        growth: What grows.
        rounds: How often.
    """
    seconds: dict[str, list[float]] = {"ours": [], "least": []}
    for size in growth.sizes:
        case = growth.case(size)
        jobs = {
            who: import_module(f".contestants.{module}", __package__).prepare(
                case, growth.predictor(size)
            )
            for who, module in (("ours", "ours"), ("least", growth.least))
        }
        for job in jobs.values():
            job.run()
        runs = [{who: _seconds(job) for who, job in jobs.items()} for _ in range(rounds)]
        for who, own in seconds.items():
            own.append(median(run[who] for run in runs))
        print(f"{growth.name} {size}: {seconds['ours'][-1]:.3g} s", flush=True)
    return Grown(growth, seconds)


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The slope of the straight line, by least squares, through the logarithms of points."""
    x, y = ([math.log(one) for one in values] for values in (sizes, seconds))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((one - mean_x) ** 2 for one in x)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread


def draw(grown: Grown, path: Path) -> None:
    """Draws a log-log figure.

    Args:
        grown: What was measured.
        path: The SVG.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": grown.growth.name, "font.size": 9}):
        figure = Figure(figsize=(4.6, 3.0), layout="constrained")
        axes: Any = figure.add_subplot()
        for who, seconds in grown.seconds.items():
            label = f"{who}, slope {grown.slope(who):.2f}"
            axes.loglog(grown.growth.sizes, seconds, "o-", color=_COLOURS[who], label=label)
        axes.set_xticks(grown.growth.sizes, [str(size) for size in grown.growth.sizes])
        axes.minorticks_off()
        axes.set_xlabel(grown.growth.of)
        axes.set_ylabel("seconds of the processor")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})


def section(grown: Grown, picture: str) -> str:
    """A section of the page.

    Args:
        grown: What was measured.
        picture: The picture's path from the page.
    """
    growth = grown.growth
    rows = [
        f"| {size} | {ours:.3g} | {least:.3g} | {ours / least:.2f} |"
        for size, ours, least in zip(
            growth.sizes, grown.seconds["ours"], grown.seconds["least"], strict=True
        )
    ]
    table = "\n".join(
        [f"| {growth.of} | ours | least | ours / least |", "|---|---|---|---|", *rows]
    )
    slopes = ", ".join(f"{who} {grown.slope(who):.2f}" for who in grown.seconds)
    title = f"## {growth.of[0].upper()}{growth.of[1:]}"
    drawn = f"![{growth.title}: seconds by {growth.of}]({picture})"
    return f"{title}\n\n{growth.title}. Slopes: {slopes}.\n\n{drawn}\n\n{table}\n"


def _seconds(job: Job) -> float:
    start = time.process_time()
    job.run()
    return time.process_time() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, draws and writes.

    Args:
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--output", type=Path, default=DOCS, help="folder; default: docs/")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--most", type=int, help="leave out larger sizes, for a quick look")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    (options.output / "pictures").mkdir(parents=True, exist_ok=True)
    sections = []
    for growth in growths():
        sizes = [one for one in growth.sizes if options.most is None or one <= options.most]
        few = replace(growth, sizes=sizes if len(sizes) > 1 else growth.sizes[:2])
        grown = measured(few, options.rounds)
        picture = f"pictures/growth-{growth.name}.svg"
        draw(grown, options.output / picture)
        sections.append(section(grown, picture))
    text = "\n".join([_HEAD.format(rounds=options.rounds), *sections])
    path = options.output / "speed.md"
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
