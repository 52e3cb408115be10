"""Charts: a bar per token, a point with its interval per method, a curve per method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.views.figures.canvas import AGAINST, FOR, Canvas, draw, fonts_for
from allennlp_saliency.views.outputs import target_in_words
from allennlp_saliency.views.scored import token_names
from allennlp_saliency.views.tokens import signed
from allennlp_saliency.views.words import in_words

_BAR, _PANEL = 0.24, 2.6
_CHARACTER = 0.075
# Okabe and Ito's colours, which colour-blind readers can tell apart, with dashes beside them.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_DASHES = ("-", "--", ":", "-.")
_POINTS = 101
_ARROWS = {"higher": "↑", "lower": "↓"}


def save_bars(
    explanation: Explanation,
    path: str | PathLike[str],
    *,
    top: int | None = 20,
    words: bool = False,
    width: float = 6.0,
) -> None:
    """Draws a bar per token, the strongest first, with standard errors where there are some.

    Args:
        explanation: What to draw.
        path: Where to; the ending says what: `.png`, `.svg`, `.pdf`.
        top: How many tokens; None for all of them, in the order of the text.
        words: Whether to add the scores of a word's tokens up.
        width: Width of the picture, in inches.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If it has no tokens, or `top` is no positive number.
    """
    if top is not None and top < 1:
        raise ValueError(f"top is a positive number or None, not {top!r}")
    shown = in_words(explanation) if words else explanation
    several = len(shown.inputs) > 1
    bars = [
        (score, f"{one.field}: {name}" if several else name, _error(one.standard_errors, number))
        for one in shown.inputs
        for number, (score, name) in enumerate(zip(one.attributions, token_names(one), strict=True))
    ]
    if not bars:
        raise ValueError("the explanation has no tokens to draw")
    if top is not None:
        bars = sorted(bars, key=lambda bar: -abs(bar[0]))[:top]
    title = f"{explanation.interpreter.get('type', '')}: {target_in_words(explanation)}"
    names = [name for _, name, _ in bars]
    fonts = fonts_for(path, [*names, title])
    left = 0.3 + _CHARACTER * max(len(fonts.drawable(name)) for name in names)
    height = _BAR * len(bars) + 0.8
    strongest = max(abs(score) for score, _, _ in bars)

    def drawing(canvas: Canvas) -> None:
        size = ((width - left - 0.45) / width, _BAR * len(bars) / height)
        axes = canvas.figure.add_axes((left / width, 0.4 / height, *size))
        scores = [score for score, _, _ in bars]
        errors = [error for _, _, error in bars]
        axes.barh(
            range(len(bars)),
            scores,
            height=0.75,
            color=[FOR if score > 0 else AGAINST for score in scores],
            xerr=errors if any(errors) else None,
            error_kw={"lw": 1, "capsize": 2},
        )
        axes.axvline(0, color="black", lw=0.8)
        axes.set_ylim(len(bars) - 0.5, -0.5)
        most = max(max(abs(s) + e for s, e in zip(scores, errors, strict=True)), 1e-300) * 1.25
        axes.set_xlim(-most if min(scores) < 0 else 0, most if max(scores) >= 0 else 0)
        canvas.labels(axes, "y", names, fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=7)
        for number, (score, error) in enumerate(zip(scores, errors, strict=True)):
            style: Any = {"va": "center", "fontsize": 7, "ha": "left" if score >= 0 else "right"}
            at = score + math.copysign(error + most * 0.01, score)
            canvas.text(axes, at, number, signed(score, strongest), **style)
        _bare(axes)
        sheet = canvas.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        sheet.axis("off")
        canvas.text(sheet, 0.1, height - 0.2, title, fontsize=9, va="center")

    draw(path, fonts, (width, height), drawing)


def save_metrics(rows: Sequence[Mapping[str, Any]], path: str | PathLike[str]) -> None:
    """Draws a comparison: a panel per metric, and per method the mean with its interval. An arrow
    says whether higher or lower is better, where the rows say it.

    Args:
        rows: `Comparison.rows()`, or the lines of its `table.jsonl`.
        path: Where to; the ending says what.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If no row has a metric.
    """
    rows = list(rows)
    metrics = list(dict.fromkeys(name for row in rows for name in row if _is_metric(row[name])))
    if not metrics:
        raise ValueError("there is no metric in these rows; give it Comparison.rows()")
    removals = list(dict.fromkeys(str(row.get("removal", "")) for row in rows))
    methods = list(dict.fromkeys(str(row["interpreter"]) for row in rows))
    fonts = fonts_for(path, [*metrics, *removals, *methods, *_ARROWS.values()])
    left = 0.3 + _CHARACTER * max(map(len, methods))
    width, height = left + _PANEL * len(metrics), 0.3 * len(methods) + 1.1

    def drawing(canvas: Canvas) -> None:
        for number, metric in enumerate(metrics):
            at = ((left + _PANEL * number) / width, 0.7 / height)
            axes = canvas.figure.add_axes(
                (*at, (_PANEL - 0.25) / width, 0.3 * len(methods) / height)
            )
            for row in rows:
                if _is_metric(row.get(metric)):
                    _interval(axes, row, metric, methods, removals)
            axes.set_ylim(len(methods) - 0.5, -0.5)
            canvas.labels(axes, "y", methods if number == 0 else [""] * len(methods), fontsize=8)
            axes.tick_params(labelsize=7)
            axes.tick_params(axis="y", length=0, labelsize=8)
            axes.grid(axis="x", color="#dddddd", lw=0.6)
            axes.set_axisbelow(True)
            _bare(axes)
            axes.set_title(metric + _arrow(rows, metric), fontsize=9, parse_math=False)
        if len(removals) > 1:
            _key(canvas, removals, width, height)

    draw(path, fonts, (width, height), drawing)


def save_curves(
    curves: Mapping[str, Sequence[Sequence[float]]],
    path: str | PathLike[str],
    *,
    across: str = "share of the units",
    along: str = "target",
    width: float = 5.0,
) -> None:
    """Draws the mean of each method's curves with its standard error: inputs of different lengths
    by the share of their units.

    Args:
        curves: Per method the curves of the inputs: the target's value with no unit, with one, ….
        path: Where to; the ending says what.
        across: What the horizontal axis counts.
        along: What the vertical axis measures.
        width: Width of the picture, in inches.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If a method has no curve, or one has fewer than two points.
    """
    for name, own in curves.items():
        if not own or any(len(one) < 2 for one in own):
            raise ValueError(f"{name!r} needs curves of at least two points")
    if not curves:
        raise ValueError("there are no curves to draw")
    fonts = fonts_for(path, [*curves, across, along])
    height = width * 0.7

    def drawing(canvas: Canvas) -> None:
        import numpy as np

        axes = canvas.figure.add_axes((0.13, 0.15, 0.83, 0.8))
        share = np.linspace(0, 1, _POINTS)
        for number, (name, own) in enumerate(curves.items()):
            lines = np.array([np.interp(share, np.linspace(0, 1, len(one)), one) for one in own])
            mean = lines.mean(axis=0)
            colour = _COLOURS[number % len(_COLOURS)]
            dashes = _DASHES[number % len(_DASHES)]
            axes.plot(share, mean, color=colour, ls=dashes, label=canvas.fonts.drawable(name))
            if len(own) > 1:
                error = lines.std(axis=0, ddof=1) / math.sqrt(len(own))
                axes.fill_between(share, mean - error, mean + error, color=colour, alpha=0.15, lw=0)
        axes.set_xlabel(across, fontsize=9, parse_math=False)
        axes.set_ylabel(along, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=8)
        axes.set_xlim(0, 1)
        _bare(axes)
        for text in axes.legend(fontsize=8, frameon=False).get_texts():
            text.set_parse_math(False)

    draw(path, fonts, (width, height), drawing)


def _error(errors: Sequence[float] | None, number: int) -> float:
    return 0.0 if errors is None else errors[number]


def _is_metric(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("mean") is not None


def _arrow(rows: Sequence[Mapping[str, Any]], metric: str) -> str:
    better = {str(row[metric].get("better")) for row in rows if _is_metric(row.get(metric))}
    return "".join(f" {_ARROWS[one]}" for one in better if one in _ARROWS)


def _interval(
    axes: Any, row: Mapping[str, Any], metric: str, methods: list[str], removals: list[str]
) -> None:
    found, removal = row[metric], removals.index(str(row.get("removal", "")))
    spread = 0.22 * (removal - (len(removals) - 1) / 2)
    y = methods.index(str(row["interpreter"])) + spread
    colour = _COLOURS[removal % len(_COLOURS)]
    low, high = found.get("low"), found.get("high")
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, lw=1.4)
    axes.plot([found["mean"]], [y], marker="os^D"[removal % 4], color=colour, ms=4)


def _key(canvas: Canvas, removals: list[str], width: float, height: float) -> None:
    sheet = canvas.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    sheet.axis("off")
    x = 0.2
    for number, removal in enumerate(removals):
        colour = _COLOURS[number % len(_COLOURS)]
        sheet.plot([x], [0.2], marker="os^D"[number % 4], color=colour, ms=4)
        text = f"removed by {removal}"
        canvas.text(sheet, x + 0.1, 0.2, text, fontsize=8, va="center")
        x += 0.4 + _CHARACTER * len(text)


def _bare(axes: Any) -> None:
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
