"""A matrix of scores in the terminal: a row per output, a column per token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text

from allennlp_saliency.views.tokens import signed
from allennlp_saliency.views.written import Matrix

_WIDEST_NAME = 16
_WIDEST_COLUMN = 12


def matrix_lines(
    matrix: Matrix, scale: float, width: int, style: Callable[[float], Style], ellipsis: str
) -> Iterator[Text]:
    """The lines of a matrix, in blocks of as many columns as fit.

    Args:
        matrix: The scores.
        scale: The score of the strongest colour, and what numbers are rounded by.
        width: How many characters a line may have.
        style: The colours of a score, by its ratio to the scale.
        ellipsis: What stands for the rest of a long token.
    """

    def cut(text: str, size: int) -> str:
        if cell_len(text) <= size:
            return text
        return set_cell_size(text, size - cell_len(ellipsis)) + ellipsis

    names = [cut(name, _WIDEST_NAME) for name in matrix.rows]
    first = max((cell_len(name) for name in names), default=0)
    cells = [["" if one is None else signed(one, scale) for one in row] for row in matrix.values]
    heads = [cut(name, _WIDEST_COLUMN) for name in matrix.columns]
    wide = [max(cell_len(head), *(len(row[n]) for row in cells), 1) for n, head in enumerate(heads)]
    for block in _blocks(wide, max(width - first - 1, 1)):
        line = Text(" " * first)
        for n in block:
            line.append(" " + _right(heads[n], wide[n]))
        yield line
        for name, row, values in zip(names, cells, matrix.values, strict=True):
            line = Text(set_cell_size(name, first))
            for n in block:
                value = values[n]
                shade = Style() if value is None or not scale else style(value / scale)
                line.append(" ").append(_right(row[n], wide[n]), style=shade)
            yield line


def _right(text: str, size: int) -> str:
    return " " * (size - cell_len(text)) + text


def _blocks(wide: Sequence[int], width: int) -> Iterator[list[int]]:
    block, used = list[int](), 0
    for number, own in enumerate(wide):
        if block and used + own + 1 > width:
            yield block
            block, used = [], 0
        block.append(number)
        used += own + 1
    if block:
        yield block
