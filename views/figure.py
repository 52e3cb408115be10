"""Explanations as pictures: heat maps to PNG, SVG or PDF, without a browser or a display."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views.tokens import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEUTRAL = (1.0, 1.0, 1.0)
_FOR = (0.04, 0.34, 0.84)
_AGAINST = (0.80, 0.18, 0.02)
_CHARACTER = 0.085  # inches that a character of the monospaced font takes
_ROW = 0.34
_MARGIN = 0.12
_Line = list[tuple[float, str, float]]


def save_figure(
    explanations: Sequence[Explanation],
    path: str | PathLike[str],
    titles: Sequence[str] | None = None,
    width: float = 9.0,
) -> None:
    """Draws explanations below each other and writes them to a file.

    Args:
        explanations: What to draw; each on its own scale, blue for the prediction, red against.
        path: Where to; the ending says what: `.png`, `.svg`, `.pdf`.
        titles: A heading per explanation; the label and the method by default.
        width: Width of the picture, in inches.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If there is nothing to draw, or not one title per explanation.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "pictures need matplotlib: pip install 'allennlp-saliency[figures]'"
        ) from error
    if not explanations:
        raise ValueError("there are no explanations to draw")
    titles = [_title(one) for one in explanations] if titles is None else titles
    rows: list[_Line | str] = []
    for explanation, title in zip(explanations, titles, strict=True):
        rows.append(title)
        scores = [abs(score) for one in explanation.inputs for score in one.attributions]
        strongest = max(scores, default=0.0) or 1.0
        for attribution in explanation.inputs:
            if len(explanation.inputs) > 1:
                rows.append(f"{attribution.field}:")
            rows += _lines(attribution, strongest, width - 2 * _MARGIN)
    height = len(rows) * _ROW + 2 * _MARGIN
    # Same input, same bytes: no random ids, no date.
    with matplotlib.rc_context({"svg.hashsalt": "allennlp-saliency", "svg.fonttype": "none"}):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        for place, row in enumerate(rows):
            y = _MARGIN + (place + 0.5) * _ROW
            if isinstance(row, str):
                axes.text(_MARGIN, y, row, va="center", fontsize=9, parse_math=False)
            else:
                _draw(axes, row, y)
        date = {"Date": None} if str(path).endswith(".svg") else None
        figure.savefig(path, dpi=150, metadata=date)


def _title(explanation: Explanation) -> str:
    label, method = explanation.target.get("label"), explanation.interpreter["type"]
    return f"{method}: {label}" if label else method


def _draw(axes: Axes, line: _Line, y: float) -> None:
    """Draws tokens in boxes around a height."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    colours = LinearSegmentedColormap.from_list("saliency", (_AGAINST, _NEUTRAL, _FOR), N=511)
    style: Any = {"va": "center", "family": "monospace", "fontsize": 10, "parse_math": False}
    for x, text, score in line:
        left, wide = _MARGIN + x, len(text) * _CHARACTER
        box = Rectangle(
            (left, y - _ROW * 0.4), wide, _ROW * 0.8, facecolor=colours((score + 1) / 2)
        )
        axes.add_patch(box)
        axes.text(left, y, text, color="white" if abs(score) > 0.6 else "black", **style)


def _lines(attribution: InputAttribution, strongest: float, width: float) -> list[_Line]:
    """The tokens in lines: where each begins, its text and its score as a share of the largest."""
    lines: list[_Line] = []
    line: _Line = []
    x = 0.0
    for piece, score in zip(
        readable(attribution.tokens, attribution.offsets), attribution.attributions, strict=True
    ):
        length = len(piece.text) * _CHARACTER
        gap = 0.0 if piece.glued or not line else 1.5 * _CHARACTER
        if line and x + gap + length > width:
            lines.append(line)
            line, x, gap = [], 0.0, 0.0
        line.append((x + gap, piece.text, score / strongest))
        x += gap + length
    return [*lines, line] if line else lines
