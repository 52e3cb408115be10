"""Matrices as pictures: what each output took from each token, and how much methods agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation
from allennlp_saliency.views.figures.canvas import Canvas, draw, fonts_for
from allennlp_saliency.views.tokens import signed
from allennlp_saliency.views.written import Matrix, matrices_of_text

MOST_NUMBERS = 600
"""Cells that a picture has numbers in; more of them are colours alone."""

_CELL_WIDTH, _CELL_HEIGHT = 0.42, 0.3
_SMALL_CELL = 0.16
_CHARACTER = 0.085
_TITLE = 0.3


def save_matrix(
    explanations: Sequence[Explanation],
    path: str | PathLike[str],
    *,
    fields: Sequence[str] | None = None,
    words: bool = False,
    numbers: bool = True,
) -> None:
    """Draws a written text by what it was written from: a row per output, a column per token.

    Args:
        explanations: Those of one text, token by token (or part by part), in order.
        path: Where to; the ending says what: `.png`, `.svg`, `.pdf`.
        fields: The fields to draw; all by default, below each other, in the same colours.
        words: Whether columns are words.
        numbers: Whether the scores stand in the cells, as long as there are at most `MOST_NUMBERS`.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If the explanations are not those of a text, or it has no such field.
    """
    found = matrices_of_text(explanations, words)
    if not found:
        raise ValueError(
            "these explanations are not of one text that was written token by token; draw them "
            "with save_figure"
        )
    if fields is not None:
        known = [one.field for one in found]
        wrong = [name for name in fields if name not in known]
        if wrong:
            raise ValueError(f"there is no field {wrong[0]!r}; there are {', '.join(known)}")
        found = [one for one in found if one.field in fields]
    draw_matrices(found, path, numbers)


def save_agreement(
    agreement: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    path: str | PathLike[str],
    what: str = "rank",
) -> None:
    """Draws how much methods agree.

    Args:
        agreement: The number of each pair, by the names with a bar between them (`"a|b"`), or the
            records of a comparison (`Comparison.records`, or the lines of its `measured.jsonl`),
            over whose inputs the mean is taken.
        path: Where to; the ending says what.
        what: Of records, "rank" for Spearman's correlation of the scores, "top" for the share of
            the three best units that both have.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
        ValueError: If there is no pair in it.
    """
    pairs = agreement if isinstance(agreement, Mapping) else _mean_agreement(agreement, what)
    names = list(dict.fromkeys(name for pair in pairs for name in pair.split("|")))
    if len(names) < 2:
        raise ValueError("there is no agreement of two methods in it: compare two or more")
    values = [
        [1.0 if one == other else pairs.get(f"{one}|{other}", pairs.get(f"{other}|{one}"))
         for other in names]
        for one in names
    ]  # fmt: skip
    title = "the share of the three best units" if what == "top" else "Spearman's rank correlation"
    draw_matrices([Matrix(title, names, names, values)], path, scale=1.0, digits=2)


def draw_matrices(
    matrices: Sequence[Matrix],
    path: str | PathLike[str],
    numbers: bool = True,
    scale: float | None = None,
    digits: int | None = None,
) -> None:
    """Draws matrices below each other.

    Args:
        matrices: The matrices.
        path: Where to.
        numbers: Whether numbers stand in the cells.
        scale: The number of the full colour; the strongest of all by default.
        digits: Digits of the numbers; those of scores by default.
    """
    strongest = max(one.strongest for one in matrices) if scale is None else scale
    layouts = [_Layout(one, numbers) for one in matrices]
    width = max(one.width for one in layouts)
    height = sum(one.height for one in layouts)
    texts = [text for one in matrices for text in (one.field, *one.rows, *one.columns)]
    fonts = fonts_for(path, texts)

    def drawing(canvas: Canvas) -> None:
        top = height
        for layout in layouts:
            layout.draw(canvas, width, height, top, strongest, digits)
            top -= layout.height

    draw(path, fonts, (width, height), drawing)


class _Layout:
    """Where the parts of a matrix stand, in inches."""

    def __init__(self, matrix: Matrix, numbers: bool) -> None:
        self._matrix = matrix
        rows, columns = len(matrix.rows), len(matrix.columns)
        self._numbers = numbers and rows * columns <= MOST_NUMBERS
        cell = (_CELL_WIDTH, _CELL_HEIGHT) if self._numbers else (_SMALL_CELL, _SMALL_CELL)
        self._left = 0.2 + _CHARACTER * max(map(len, matrix.rows), default=0)
        self._names = 0.15 + _CHARACTER * max(map(len, matrix.columns), default=0)
        self._size = max(columns, 1) * cell[0], max(rows, 1) * cell[1]
        self.width = max(self._left + self._size[0] + 0.2, 2.5)
        self.height = _TITLE + self._names + self._size[1] + 0.15

    def draw(
        self,
        canvas: Canvas,
        width: float,
        height: float,
        top: float,
        strongest: float,
        digits: int | None,
    ) -> None:
        import numpy as np

        matrix = self._matrix
        bottom = top - _TITLE - self._names - self._size[1]
        place = (
            self._left / width,
            bottom / height,
            self._size[0] / width,
            self._size[1] / height,
        )
        axes = canvas.figure.add_axes(place)
        ratios = [
            [np.nan if v is None or not math.isfinite(v) else v / (strongest or 1.0) for v in row]
            for row in matrix.values
        ]
        shown: Any = np.array(ratios, dtype=float).reshape(len(matrix.rows), len(matrix.columns))
        axes.pcolormesh(
            np.arange(shown.shape[1] + 1) - 0.5,
            np.arange(shown.shape[0] + 1) - 0.5,
            np.ma.masked_invalid(shown),
            cmap=canvas.colours,
            vmin=-1,
            vmax=1,
        )
        axes.set_ylim(shown.shape[0] - 0.5, -0.5)
        axes.set_xlim(-0.5, shown.shape[1] - 0.5)
        canvas.labels(axes, "x", matrix.columns, fontsize=8, rotation=90)
        axes.xaxis.tick_top()
        canvas.labels(axes, "y", matrix.rows, fontsize=8)
        axes.tick_params(length=0)
        for edge in axes.spines.values():
            edge.set_color("#b0b0b0")
        sheet = canvas.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
        sheet.axis("off")
        canvas.text(sheet, 0.1, top - _TITLE / 2, matrix.field, fontsize=9, va="center")
        for y, values in enumerate(matrix.values if self._numbers else ()):
            for x, value in enumerate(values):
                if value is None or not math.isfinite(value):
                    continue
                text = signed(value, strongest) if digits is None else f"{value:.{digits}f}"
                strong = strongest and abs(value) > 0.6 * strongest
                style: Any = {"ha": "center", "va": "center", "fontsize": 6.5}
                canvas.text(axes, x, y, text, color="white" if strong else "black", **style)


def _mean_agreement(records: Sequence[Mapping[str, Any]], what: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    removal = next((one.get("removal") for one in records if "agreement" in one), None)
    for record in records:
        # The scores, and so the agreement, are the same for every removal.
        if record.get("removal") != removal:
            continue
        for pair, numbers in record.get("agreement", {}).items():
            value = numbers.get(what)
            if value is not None and math.isfinite(value):
                found.setdefault(pair, []).append(float(value))
    return {pair: math.fsum(values) / len(values) for pair, values in found.items()}
