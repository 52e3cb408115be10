r"""Explanations in LaTeX: every token in a `\colorbox`, to be put into a paper."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views.colours import AGAINST, FAINTEST, FOR
from allennlp_saliency.views.scored import scored_text
from allennlp_saliency.views.tokens import printable, signed
from allennlp_saliency.views.words import in_words
from allennlp_saliency.views.written import Matrix, matrices_of_text, output_in_words

HEAD = r"""% Scores as colours: blue speaks for what is explained, red against it.
% The preamble needs, once:
%   \usepackage[T1]{fontenc}
%   \usepackage{xcolor}
%   \usepackage{booktabs}
% and for other alphabets XeLaTeX or LuaLaTeX, with a font that has them.
"""
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": "{-}",  # two of them are no dash
}
_STRONGEST = 70  # per cent of the colour: black text can be read on it


def to_latex(
    explanations: Sequence[Explanation], *, words: bool = False, numbers: bool = False
) -> str:
    r"""Explanations as a piece of LaTeX, with what it needs of the preamble in a comment.

    Everything in them is escaped. Of a text that was explained token by token it makes a table with
    a row per output.

    Args:
        explanations: Those of one input.
        words: Whether to add the scores of a word's tokens up.
        numbers: Whether the scores stand behind the tokens.
    """
    matrices = matrices_of_text(explanations, words)
    if matrices:
        scale = max(one.strongest for one in matrices)
        return HEAD + "\n".join(_table(one, scale) for one in matrices)
    shown = [in_words(one) if words else one for one in explanations]
    return HEAD + "\n".join(_paragraphs(one, numbers) for one in shown)


def save_latex(
    inputs: Iterable[Sequence[Explanation]],
    path: str | PathLike[str],
    *,
    words: bool = False,
    numbers: bool = False,
) -> int:
    """Writes the explanations of several inputs to one file, for LaTeX to input.

    Args:
        inputs: The explanations of each input.
        path: Where to.
        words: As for `to_latex`.
        numbers: As for `to_latex`.

    Returns:
        How many inputs there were.
    """
    count = 0
    with Path(path).open("w", encoding="utf-8") as file:
        file.write(HEAD)
        for count, explanations in enumerate(inputs, start=1):  # noqa: B007
            piece = to_latex(explanations, words=words, numbers=numbers)
            file.write(piece.removeprefix(HEAD) + "\n\\medskip\n\n")
    return count


def metrics_to_latex(rows: Sequence[Mapping[str, Any]]) -> str:
    """A comparison as a table with a line per method and removal: means with intervals.

    Args:
        rows: `Comparison.rows()`, or the lines of its `table.jsonl`.

    Raises:
        ValueError: If no row has a metric.
    """
    rows = list(rows)
    metrics = list(
        dict.fromkeys(name for row in rows for name, one in row.items() if isinstance(one, Mapping))
    )
    if not metrics:
        raise ValueError("there is no metric in these rows; give it Comparison.rows()")
    lines = [r"\begin{tabular}{ll" + "r" * len(metrics) + "}", r"\toprule"]
    lines.append(" & ".join(map(escaped, ("interpreter", "removal", *metrics))) + r" \\")
    lines.append(r"\midrule")
    for row in rows:
        cells = [escaped(str(row.get(name, ""))) for name in ("interpreter", "removal")]
        cells += [_interval(row.get(name)) for name in metrics]
        lines.append(" & ".join(cells) + r" \\")
    return HEAD + "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escaped(text: str) -> str:
    """The text with everything that LaTeX would act upon as the character that it shows."""
    return "".join(_ESCAPES.get(one, one) for one in printable(text))


def _paragraphs(explanation: Explanation, numbers: bool) -> str:
    scores = [abs(score) for one in explanation.inputs for score in one.attributions]
    scale = max(scores, default=0.0)
    lines = [r"\noindent\begingroup\raggedright\setlength{\fboxsep}{1pt}%"]
    lines.append(rf"\textbf{{{escaped(_title(explanation))}}}\\")
    for number, one in enumerate(explanation.inputs, start=1):
        name = rf"\textit{{{escaped(one.field)}:}} " if len(explanation.inputs) > 1 else ""
        end = r"\\" if number < len(explanation.inputs) else r"\par\endgroup"
        lines.append(name + "".join(_pieces(one, scale, numbers)).strip() + end)
    if not explanation.inputs:
        lines.append(r"\par\endgroup")
    return "\n".join([*lines, ""])


def _title(explanation: Explanation) -> str:
    output = output_in_words(explanation)
    method = str(explanation.interpreter.get("type", "unnamed"))
    return f"{method}: {output}" if output else method


def _pieces(one: InputAttribution, scale: float, numbers: bool) -> Iterator[str]:
    for piece in scored_text(one):
        if piece.score is None:
            # A line of LaTeX breaks at a space; an empty line would end the paragraph.
            yield " " if piece.text.isspace() else escaped(piece.text)
            continue
        # A lone accent needs something to stand on.
        lone = unicodedata.category(piece.text[0]) in ("Mn", "Me")
        shown = _box(("{}" if lone else "") + escaped(piece.text), piece.score, scale)
        if numbers and scale and abs(piece.score) >= FAINTEST * scale:
            shown += rf"\textsubscript{{${signed(piece.score, scale)}$}}"
        # Without it LaTeX would not break a line between two boxes of one word.
        yield shown + (r"\allowbreak{}" if shown.startswith(r"\colorbox") else "")


def _box(text: str, score: float, scale: float) -> str:
    ratio = score / scale if scale else 0.0
    if abs(ratio) < FAINTEST:
        return text
    red, green, blue = FOR if ratio > 0 else AGAINST
    share = min(abs(ratio), 1.0) * _STRONGEST / 100
    mixed = ",".join(str(round(255 + (one - 255) * share)) for one in (red, green, blue))
    return rf"\colorbox[RGB]{{{mixed}}}{{\strut {text}}}"


def _table(matrix: Matrix, scale: float) -> str:
    lines = [r"\begingroup\scriptsize\setlength{\fboxsep}{1pt}\setlength{\tabcolsep}{2pt}%"]
    lines.append(rf"\begin{{tabular}}{{r{'r' * len(matrix.columns)}}}")
    head = " & ".join(escaped(name) for name in matrix.columns)
    lines.append(rf"\textit{{{escaped(matrix.field)}}} & {head} \\")
    lines.append(r"\midrule")
    for name, values in zip(matrix.rows, matrix.values, strict=True):
        cells = [
            "" if one is None else _box(f"${signed(one, scale)}$", one, scale) for one in values
        ]
        lines.append(" & ".join([escaped(name), *cells]) + r" \\")
    return "\n".join([*lines, r"\end{tabular}\par\endgroup", ""])


def _interval(found: Any) -> str:
    if not isinstance(found, Mapping) or found.get("mean") is None:
        return "--"
    text = f"{found['mean']:.3f}"
    if found.get("low") is not None and found.get("high") is not None:
        text += f" [{found['low']:.3f}, {found['high']:.3f}]"
    return f"${text}$" if text.startswith("-") else text
