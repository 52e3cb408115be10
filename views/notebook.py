"""Explanations in a notebook: HTML without scripts or style sheets of its own.

It works wherever a page is shown, without a network: JupyterLab, VS Code, Colab, nbconvert. Colours
lie over the page's own background, whether light or dark, and text keeps the page's colour.
Hovering gives a token's score and rank.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from html import escape

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views.colours import AGAINST, FAINTEST, FOR
from allennlp_saliency.views.outputs import marks_of, target_in_words
from allennlp_saliency.views.scored import ScoredPiece, scored_text, token_names
from allennlp_saliency.views.terminal import render
from allennlp_saliency.views.tokens import (
    delta_in_words,
    printable,
    short,
    signed,
)
from allennlp_saliency.views.words import in_words
from allennlp_saliency.views.written import Matrix, matrices_of_text, titles_of

MOST_INPUTS = 20
MOST_EXPLANATIONS = 20
MOST_CELLS = 4000
"""What one output shows of many; a notebook keeps all of it in its file."""

_STRONGEST = 0.62  # opacity: text stays legible on it, dark or light
_BOX = "font-family:system-ui,sans-serif;font-size:14px;line-height:1.9;max-width:64em"
_SMALL = "font-size:12px;opacity:.75;line-height:1.5"
_MEANING = {
    "explained": "this is explained",
    "verb": "its verb",
    "head": "its head",
    "antecedent": "its antecedent",
}
_CELL = "padding:1px 5px;text-align:center;border:0;font-variant-numeric:tabular-nums;opacity:1"


def html(inputs: Sequence[Sequence[Explanation]], words: bool = False) -> str:
    """Explanations as a piece of a page; everything in them is escaped.

    Args:
        inputs: The explanations of each input.
        words: Whether to add the scores of a word's tokens up.
    """
    parts = []
    for number, explanations in enumerate(inputs[:MOST_INPUTS], start=1):
        if len(inputs) > 1:
            heading = f"input {number} of {len(inputs)}"
            parts.append(f'<div style="font-weight:600;margin-top:.8em">{heading}</div>')
        parts += _of_input(explanations, words)
    if len(inputs) > MOST_INPUTS:
        parts.append(_small(f"… and {len(inputs) - MOST_INPUTS} more inputs"))
    if any(inputs):
        parts.append(_legend({mark for of in inputs for one in of for mark in _marks(one)}))
    return f'<div style="{_BOX}">{"".join(parts)}</div>'


def show(inputs: Sequence[Sequence[Explanation]], words: bool) -> None:
    """Shows explanations in the notebook that this runs in, else in the terminal.

    Args:
        inputs: The explanations of each input.
        words: Whether to add the scores of a word's tokens up.
    """
    if _in_notebook():
        from IPython.display import HTML, display

        display(HTML(html(inputs, words)))
        return
    for number, explanations in enumerate(inputs, start=1):
        title = f"input {number} of {len(inputs)}" if len(inputs) > 1 else None
        render(explanations, title=title, legend=number == len(inputs), words=words)


def _in_notebook() -> bool:
    """Whether outputs may be HTML: in a kernel, and not in IPython's terminal."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _of_input(explanations: Sequence[Explanation], words: bool) -> Iterator[str]:
    if not explanations:
        yield _small("nothing: the model predicted nothing that could be explained")
        return
    matrices = matrices_of_text(explanations, words)
    scale = max((one.strongest for one in matrices), default=0.0)
    yield from (_matrix(one, scale) for one in matrices)
    shown = explanations[:MOST_EXPLANATIONS]
    titles = titles_of(explanations)
    maps = []
    for title, explanation in zip(titles, shown, strict=False):
        maps.append(_map(explanation, title if len(explanations) > 1 else "", words))
    if len(explanations) > len(shown):
        maps.append(_small(f"… and {len(explanations) - len(shown)} more explanations"))
    if matrices:
        yield f"<details><summary>each output by itself</summary>{''.join(maps)}</details>"
    else:
        yield from maps


def _map(explanation: Explanation, title: str, words: bool) -> str:
    method = explanation.interpreter
    parameters = ", ".join(f"{name} {short(one)}" for name, one in method.items() if name != "type")
    known = f"{method.get('type', 'unnamed')} · {target_in_words(explanation)}"
    head = f'<span title="{_safe(parameters)}">{_safe(known)}</span>'
    if title:
        head = f"<b>{_safe(title)}</b> · {head}"
    rows = [f'<div style="{_SMALL}">{head}</div>']
    by_word = in_words(explanation) if words else explanation
    scores = [abs(one) for field in by_word.inputs for one in field.attributions]
    scale = max(scores, default=0.0)
    ranks = {score: rank for rank, score in enumerate(sorted(set(scores), reverse=True), start=1)}
    marks = marks_of(by_word)
    for number, one in enumerate(by_word.inputs):
        name = ""
        own = {token: mark for (field, token), mark in marks.items() if field == number}
        if len(by_word.inputs) > 1:
            name = f'<span style="{_SMALL};margin-right:.6em">{_safe(one.field)}</span>'
        rows.append(f'<div dir="auto">{name}{_text(one, scale, ranks, own)}</div>')
    delta = explanation.convergence_delta
    notes = [] if delta is None else [delta_in_words(delta, explanation.target)]
    notes += [f"warning: {one}" for one in explanation.warnings]
    rows += [_small(note) for note in notes]
    return f'<div style="margin:.5em 0">{"".join(rows)}</div>'


def _marks(explanation: Explanation) -> list[str]:
    return list(marks_of(explanation).values())


def _text(
    one: InputAttribution, scale: float, ranks: dict[float, int], marks: dict[int, str]
) -> str:
    """The running text of a field."""
    names = token_names(one)
    parts = []
    for piece in scored_text(one):
        if piece.score is None:
            parts.append(_safe_space(piece.text))
            continue
        title = "; ".join(_title_of(one, n, names[n], scale, ranks) for n in piece.tokens)
        mark = next((marks[n] for n in piece.tokens if n in marks), "")
        title += f"; {_MEANING[mark]}" if mark else ""
        parts.append(_mark(piece, title, piece.score / scale if scale else 0.0, mark))
    return "".join(parts) or _small("(no tokens)")


def _title_of(
    one: InputAttribution, number: int, name: str, scale: float, ranks: dict[float, int]
) -> str:
    score = one.attributions[number]
    title = f"{name}: {signed(score, scale)}, rank {ranks[abs(score)]}"
    if one.tokens[number] != name:
        title += f", token {printable(one.tokens[number])}"
    if one.standard_errors is not None:
        title += f", standard error {short(one.standard_errors[number])}"
    return title


def _mark(piece: ScoredPiece, title: str, ratio: float, mark: str = "") -> str:
    style = "border-radius:2px;padding:1px 0;unicode-bidi:isolate" + _colour(ratio)
    if mark:
        style += f";{_outline(mark)}"
    if piece.kind != "text":
        # What the tokenizer has added or does not know.
        style += ";opacity:.6;font-size:85%" if piece.kind == "special" else ";font-style:italic"
    return f'<span title="{_safe(title)}" style="{style}">{_safe(piece.text)}</span>'


def _safe_space(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _colour(ratio: float) -> str:
    strength = min(abs(ratio), 1.0)
    if strength < FAINTEST:
        return ""
    red, green, blue = FOR if ratio > 0 else AGAINST
    # Against is underlined, too: nobody has to distinguish the hues.
    line = "" if ratio > 0 else ";border-bottom:2px dotted"
    return f";background:rgba({red},{green},{blue},{strength * _STRONGEST:.2f}){line}"


def _matrix(matrix: Matrix, scale: float) -> str:
    """A table with a row per output and a column per token."""
    if len(matrix.rows) * len(matrix.columns) > MOST_CELLS:
        size = f"{len(matrix.rows)} × {len(matrix.columns)}"
        return _small(f"{matrix.field}: a matrix of {size} is too large for a notebook")
    head = "".join(f'<th scope="col" style="{_CELL}">{_safe(one)}</th>' for one in matrix.columns)
    rows = []
    for name, values in zip(matrix.rows, matrix.values, strict=True):
        cells = []
        for column, value in zip(matrix.columns, values, strict=True):
            if value is None:
                cells.append(f'<td style="{_CELL}"></td>')
                continue
            title = _safe(f"{name} ← {column}")
            style = _CELL + _colour(value / scale if scale else 0.0)
            cells.append(f'<td title="{title}" style="{style}">{signed(value, scale)}</td>')
        rows.append(f'<tr><th scope="row" style="{_CELL}">{_safe(name)}</th>{"".join(cells)}</tr>')
    caption = f'<caption style="{_SMALL};text-align:left">{_safe(matrix.field)}</caption>'
    table = (
        f'<table style="border-collapse:collapse;font-size:12px">{caption}'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    return f'<div style="overflow-x:auto;margin:.5em 0">{table}</div>'


def _outline(mark: str) -> str:
    return f"outline:1.5px {'solid' if mark == 'explained' else 'dotted'}"


def _legend(marks: set[str]) -> str:
    steps = "".join(
        f'<span style="padding:0 .7em{_colour(step / 3)}">&nbsp;</span>' for step in range(-3, 4)
    )
    boxes = "".join(
        f' · <span style="padding:0 .3em;{_outline(mark)}">{known}</span>'
        for mark, known in _MEANING.items()
        if mark in marks
    )
    return f'<div style="{_SMALL}">against {steps} for what is explained{boxes}</div>'


def _small(text: str) -> str:
    return f'<div style="{_SMALL}">{_safe(text)}</div>'


def _safe(text: str) -> str:
    return escape(printable(text))
