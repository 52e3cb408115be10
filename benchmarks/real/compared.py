"""All methods compared on the two real models: faithfulness with intervals, beside chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allennlp_saliency.interpret.faithfulness import Comparison, compare

from . import fetch
from .measure import methods_at
from .models import RealModel
from .page import table

METRICS = ("comprehensiveness", "sufficiency")
# The metrics take all of a text away, and SmolLM2 has no token that an empty one begins with.
REMOVALS = {"minilm": ("mask", "delete"), "smollm2": ("zero", "mean")}
_INPUTS = {"minilm": 12, "smollm2": 6}
# As many rows as a language model of this size can do in minutes.
_SETTINGS: dict[str, dict[str, Any]] = {
    "context-cite": {"resamples": 2},
    "kernel-shap": {"num_samples": 64, "exact_units": 6},
    "lime": {"num_samples": 64},
    "owen": {"max_evaluations": 64},
    "reagent": {"steps": 32},
    "shapley-sampling": {"num_pairs": 4},
    "sobol": {"num_designs": 8},
    "integrated-gradients": {"steps": 32},
}
# Methods with the scores of another.
_LEFT_OUT = ("integrated-hessians", "noise-tunnel")
_WHY = {
    "minilm": "`input-x-gradient` asks what happens as a word's vector grows, and the norm behind "
    "the embeddings takes most of that back: on six of the inputs its scores and those of "
    "`leave-one-out` have a rank correlation of -0.33 to 0.20.",
    "smollm2": "There is hardly an order to find: on three of the prompts one token alone, in "
    "whose place is nothing (`zero`), takes away 0.89 of the probability (the median over 22 "
    "tokens), so whatever is removed first removes nearly all.",
}
_HEAD = """\
## Methods compared on {title}

`compare` on {count} of the inputs, by the probability of what is explained; means with 95 %
intervals (bootstrap over inputs). Units are removed by `{0}` in their place, and by deleting them
from the text. *above random*: the difference from `random` in comprehensiveness on the same inputs;
where its interval does not lie above 0, the method has shown nothing here. Fewer rows than by
default: {settings}."""


def compared(model: RealModel, out: Path = fetch.OUT) -> Comparison:
    """Compares all methods on a model; a run that is interrupted goes on.

    Args:
        model: The model.
        out: Where folders are written to.
    """
    chosen: list[Mapping[str, Any]] = [
        {"type": name, **_SETTINGS.get(name, {})}
        for name, params in methods_at(model.layer)
        if not params and name not in _LEFT_OUT
    ]
    removals = REMOVALS[model.name]
    return compare(
        model.predictor,
        model.inputs[: _INPUTS[model.name]],
        chosen,
        METRICS,
        removals,
        output=out / "-".join(["comparison", model.name, *removals]),
    )


def section(model: RealModel, found: Comparison) -> str:
    """The section as Markdown.

    Args:
        model: The model.
        found: What came of it.
    """
    first, second = found.removals
    rows = []
    for name in found.methods:
        cells = [
            str(found.interval(name, metric, removal))
            for removal in (first, second)
            for metric in METRICS
        ]
        above = [
            str(found.difference(name, "random", METRICS[0], removal))
            for removal in (first, second)
        ]
        rows.append([f"`{name}`", cells[0], above[0], cells[1], cells[2], above[1], cells[3]])
    head = _HEAD.format(
        first,
        title=model.title.partition(" (")[0],
        count=_INPUTS[model.name],
        settings=", ".join(
            f"`{name}` {value}"
            for name, given in _SETTINGS.items()
            for value in [", ".join(f"{k} {v}" for k, v in given.items())]
        ),
    )
    columns = ["method"]
    for removal in (first, second):
        columns += [f"comprehensiveness, {removal}", "above random", f"sufficiency, {removal}"]
    messages = Counter(one["error"] for one in found.errors)
    errors = "".join(f"\n\nNot compared, {count} times: {one}" for one, count in messages.items())
    errors += "".join(
        f"\n\nNot compared: {one}, which {why}" for one, why in found.left_out.items()
    )
    return f"{head}\n\n{table(columns, rows)}\n\n{_below(model, found)}{errors}"


def _below(model: RealModel, found: Comparison) -> str:
    """Which methods do not beat chance, and why."""
    names = [name for name in found.methods if name != "random"]
    lines = []
    for removal in found.removals:
        intervals = {name: found.difference(name, "random", METRICS[0], removal) for name in names}
        below = [f"`{name}`" for name, one in intervals.items() if not one.low > 0]
        listed = ", ".join(below) or "none"
        lines.append(f"Not above `random` by `{removal}`: {listed} ({len(below)} of {len(names)}).")
    return " ".join([*lines, _WHY[model.name]])
