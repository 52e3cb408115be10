"""Explanations as heat maps: running text in colours, with numbers."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views.colours import FAINTEST
from allennlp_saliency.views.figures.canvas import Canvas, draw, fonts_for
from allennlp_saliency.views.figures.fonts import Fonts
from allennlp_saliency.views.outputs import marks_of
from allennlp_saliency.views.scored import scored_text
from allennlp_saliency.views.tokens import signed
from allennlp_saliency.views.words import in_words
from allennlp_saliency.views.written import output_in_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

_CHARACTER = 0.085  # inches that a character of the monospaced font takes
_DIGIT = 0.056  # the same of a number's
_TITLE, _ROW, _NUMBERED, _LEGEND, _BOXES = 0.34, 0.34, 0.48, 0.5, 0.24
_MEANING = {
    "explained": "what is explained",
    "verb": "its verb",
    "head": "its head",
    "antecedent": "its antecedent",
}
_MARGIN = 0.12


@dataclass(frozen=True)
class _Cell:
    """A piece of text: where it begins and ends, its score, and what it is of what is explained."""

    left: float
    right: float
    text: str
    score: float | None
    mark: str = ""


@dataclass(frozen=True)
class _Row:
    """A line of text, a title or the name of a field."""

    cells: list[_Cell]
    heading: str = ""
    scale: float = 1.0


def save_figure(
    explanations: Sequence[Explanation],
    path: str | PathLike[str],
    titles: Sequence[str] | None = None,
    width: float = 9.0,
    *,
    numbers: bool = True,
    legend: bool = True,
    one_scale: bool | None = None,
    words: bool = False,
) -> None:
    """Draws explanations below each other and writes them to a file.

    Args:
        explanations: What to draw: blue speaks for what is explained, red against it.
        path: Where to; the ending says what: `.png`, `.svg`, `.pdf`.
        titles: A heading per explanation; the method, the label and its probability by default.
        width: Width of the picture, in inches.
        numbers: Whether the scores stand below the tokens.
        legend: Whether to end with what the colours mean.
        one_scale: Whether a colour means the same score in all of them; None for in those of one
            method and kind of target, whose scores are in the same units. Else the strongest score
            of each has the full colour.
        words: Whether to add the scores of a word's tokens up.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If there is nothing to draw, or not one title per explanation.
    """
    if not explanations:
        raise ValueError("there are no explanations to draw")
    titles = [_title(one) for one in explanations] if titles is None else titles
    if len(titles) != len(explanations):
        raise ValueError(f"{len(explanations)} explanations need as many titles, not {len(titles)}")
    if words:
        explanations = [in_words(one) for one in explanations]
    scales = _scales(explanations, one_scale)
    fields = [one for explanation in explanations for one in explanation.inputs]
    texts = [piece.text for one in fields for piece in scored_text(one)]
    fonts = fonts_for(path, [*texts, *titles, *(one.field for one in fields)])
    rows: list[_Row] = []
    kinds: set[str] = set()
    for explanation, title, scale in zip(explanations, titles, scales, strict=True):
        rows.append(_Row([], title))
        marks = marks_of(explanation)
        kinds |= {*marks.values()}
        for number, one in enumerate(explanation.inputs):
            if len(explanation.inputs) > 1:
                rows.append(_Row([], f"{one.field}:"))
            own = {token: mark for (field, token), mark in marks.items() if field == number}
            lines = _lines(one, scale, width - 2 * _MARGIN, numbers, fonts, own)
            rows += [_Row(line, scale=scale) for line in lines]
    heights = [_TITLE if row.heading else _NUMBERED if numbers else _ROW for row in rows]
    below = (_LEGEND + (_BOXES if kinds else 0)) if legend else 0
    height = sum(heights) + 2 * _MARGIN + below

    def drawing(canvas: Canvas) -> None:
        axes = canvas.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        y = _MARGIN
        for row, high in zip(rows, heights, strict=True):
            if row.heading:
                canvas.text(axes, _MARGIN, y + high / 2, row.heading, va="center", fontsize=9)
            for cell in row.cells:
                _draw(canvas, axes, cell, y, row.scale, numbers)
            y += high
        if legend:
            _draw_legend(canvas, axes, y, max(scales) if len({*scales}) == 1 else None)
            _draw_boxes(canvas, axes, y + _LEGEND + _BOXES / 2, kinds)

    draw(path, fonts, (width, height), drawing)


def _title(explanation: Explanation) -> str:
    output, method = output_in_words(explanation), str(explanation.interpreter["type"])
    return f"{method}: {output}" if output else method


def _scales(explanations: Sequence[Explanation], one_scale: bool | None) -> list[float]:
    """The score of the full colour, of each explanation."""
    strongest = [
        max((abs(s) for field in one.inputs for s in field.attributions), default=0.0)
        for one in explanations
    ]
    kinds = [_kind(one) if one_scale is None else "" for one in explanations]
    if one_scale is False:
        return strongest
    largest: dict[str, float] = {}
    for kind, own in zip(kinds, strongest, strict=True):
        largest[kind] = max(own, largest.get(kind, 0.0))
    return [largest[kind] for kind in kinds]


def _kind(explanation: Explanation) -> str:
    method = json.dumps(explanation.interpreter, sort_keys=True, default=str)
    return f"{method} {explanation.target.get('type')}"


def _draw(canvas: Canvas, axes: Axes, cell: _Cell, y: float, scale: float, numbers: bool) -> None:
    from matplotlib.patches import Rectangle

    ratio = 0.0 if cell.score is None or not scale else cell.score / scale
    middle = (cell.left + cell.right) / 2 + _MARGIN
    if cell.score is not None:
        box = Rectangle(
            (cell.left + _MARGIN, y + _ROW * 0.1),
            cell.right - cell.left,
            _ROW * 0.8,
            facecolor=canvas.colour(ratio),
        )
        axes.add_patch(box)
        if cell.mark:
            edges = (cell.left + _MARGIN - 0.015, cell.right + _MARGIN + 0.015)
            axes.add_patch(_box(edges, y + _ROW * 0.1, _ROW * 0.8, cell.mark))
        if numbers and abs(ratio) >= FAINTEST:
            shown, place = signed(cell.score, scale), y + _ROW + 0.04
            canvas.text(axes, middle, place, shown, ha="center", va="center", fontsize=6.5)
    colour = "white" if abs(ratio) > 0.6 else "black"
    style: Any = {"ha": "center", "va": "center", "fontsize": 10, "color": colour}
    canvas.text(axes, middle, y + _ROW / 2, cell.text, mono=True, **style)


def _box(edges: tuple[float, float], top: float, height: float, mark: str) -> Rectangle:
    from matplotlib.patches import Rectangle

    style = "-" if mark == "explained" else (0, (1.5, 1.2))
    at, wide = (edges[0], top), edges[1] - edges[0]
    look: Any = {"fill": False, "edgecolor": "black", "lw": 1.1, "linestyle": style}
    # Above the colours of the neighbours, below the text.
    return Rectangle(at, wide, height, zorder=2, **look)


def _draw_boxes(canvas: Canvas, axes: Axes, y: float, kinds: Set[str]) -> None:
    """What a box around a token means."""
    left = _MARGIN + 0.6
    for mark, meaning in _MEANING.items():
        if mark in kinds:
            axes.add_patch(_box((left, left + 0.22), y - 0.07, 0.14, mark))
            canvas.text(axes, left + 0.3, y, meaning, va="center", fontsize=8)
            left += 1.55


def _draw_legend(canvas: Canvas, axes: Axes, y: float, strongest: float | None) -> None:
    from matplotlib.patches import Rectangle

    steps, wide, left = 40, 2.4, _MARGIN + 0.6
    y += 0.1
    style: Any = {"va": "center", "fontsize": 8}
    canvas.text(axes, left - 0.08, y + 0.07, "against", ha="right", **style)
    for step in range(steps):
        colour = canvas.colour(2 * step / (steps - 1) - 1)
        at = left + wide * step / steps
        axes.add_patch(Rectangle((at, y), wide / steps, 0.14, facecolor=colour, lw=0))
    canvas.text(axes, left + wide + 0.08, y + 0.07, "for what is explained", ha="left", **style)
    ends = ("strongest", "strongest")
    if strongest is not None:
        ends = (signed(-strongest, strongest), signed(strongest, strongest))
    for place, text in ((0.0, ends[0]), (0.5, "0"), (1.0, ends[1])):
        at = left + wide * place
        canvas.text(axes, at, y + 0.24, text, ha="center", va="center", fontsize=6.5)


def _lines(
    one: InputAttribution,
    scale: float,
    width: float,
    numbers: bool,
    fonts: Fonts,
    marks: Mapping[int, str],
) -> Iterator[list[_Cell]]:
    """The text of a field in lines; one of a language that is written from the right is so, too."""
    line: list[_Cell] = []
    x = 0.0
    mirrored = _from_right(one)
    for piece in scored_text(one):
        if piece.score is None and not piece.text.strip():
            # Several spaces are one, and there is none at the beginning of a line.
            if "\n" in piece.text and line:
                yield _mirrored(line, width) if mirrored else line
                line, x = [], 0.0
            x += 1.5 * _CHARACTER if line else 0.0
            continue
        mark = next((marks[n] for n in piece.tokens if n in marks), "")
        for text in _folded(fonts.drawable(piece.text), int(width / _CHARACTER)):
            length = cell_len(text) * _CHARACTER
            if numbers and piece.score is not None and abs(piece.score) >= FAINTEST * scale > 0:
                length = max(length, len(signed(piece.score, scale)) * _DIGIT)
            if line and x + length > width:
                yield _mirrored(line, width) if mirrored else line
                line, x = [], 0.0
            line.append(_Cell(x, x + length, text, piece.score, mark))
            x += length
    if line:
        yield _mirrored(line, width) if mirrored else line


def _folded(text: str, most: int) -> Iterator[str]:
    """A text in parts that fit a line."""
    for start in range(0, len(text), max(most, 1)):
        yield text[start : start + max(most, 1)]


def _mirrored(line: list[_Cell], width: float) -> list[_Cell]:
    return [replace(one, left=width - one.right, right=width - one.left) for one in line]


def _from_right(one: InputAttribution) -> bool:
    text = one.text if one.text is not None else "".join(one.tokens)
    kinds = (unicodedata.bidirectional(character) for character in text)
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"
