"""Explanations as heat maps in the terminal, and as plain text where there is no terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from allennlp_saliency.interpret.explanation import (
    Explanation,
    ExplanationFormatError,
    InputAttribution,
)
from allennlp_saliency.views.colours import FAINTEST, style_of
from allennlp_saliency.views.lines import error_in_words, instances_of
from allennlp_saliency.views.outputs import marks_of, target_in_words
from allennlp_saliency.views.terminal_matrix import matrix_lines
from allennlp_saliency.views.tokens import (
    delta_in_words,
    numbers_of,
    predicted,
    printable,
    readable,
    short,
    signed,
)
from allennlp_saliency.views.words import in_words
from allennlp_saliency.views.written import Matrix, matrices_of_text, titles_of

_STRONGEST = 5
_INDENT = 12
_MAX_INPUT = 500  # characters of the input that an error shows


def render(
    explanations: Sequence[Explanation],
    prediction: Mapping[str, Any] | None = None,
    console: Console | None = None,
    *,
    title: str | None = None,
    legend: bool = True,
    words: bool = False,
) -> None:
    """Prints one heat map per explanation; colours where the console has them, else numbers.

    Of a text that was explained token by token it prints a matrix for each field, with a row for
    each token of the text.

    Args:
        explanations: What an interpreter returned for one input.
        prediction: The predictor's output for that input: its label and probability are shown.
        console: Where to print; a new console on the standard output by default. Whether it
            has colours (a terminal, `NO_COLOR`, `FORCE_COLOR`, `TERM`) is rich's to say.
        title: A heading.
        legend: Whether to end with what the colours mean.
        words: Whether to add the scores of a word's tokens up.
    """
    matrices = matrices_of_text(explanations, words)
    titles = titles_of(explanations)
    if words:
        explanations = [in_words(one) for one in explanations]
    fields = [attribution.field for e in explanations for attribution in e.inputs]
    page = _Page(console or Console(), fields)
    if title is not None:
        page.heading(title)
    page.prediction(prediction, explanations)
    if not explanations:
        page.row("explained", ["nothing: the model predicted nothing that could be explained"])
    page.matrices(matrices)
    for number, explanation in enumerate(explanations, start=1):
        if len(explanations) > 1:
            page.heading(titles[number - 1] if matrices else f"{number} of {len(explanations)}")
        page.explanation(explanation, fields=not matrices)
        following = explanations[number : number + 1]
        if not following or following[0].interpreter != explanation.interpreter:
            page.method(explanation)
    if legend and explanations:
        page.legend()
    page.print()


def render_line(
    line: str | Mapping[str, Any],
    console: Console | None = None,
    *,
    title: str | None = None,
    legend: bool = True,
    words: bool = False,
) -> None:
    """Prints what one line of `allennlp predict --predictor saliency` holds, errors too.

    Args:
        line: The line, as text or parsed.
        console: As for `render`.
        title: As for `render`.
        legend: As for `render`.
        words: As for `render`.

    Raises:
        ValueError: If the line is not JSON, or not a JSON object.
    """
    content = json.loads(line) if isinstance(line, str) else line
    if not isinstance(content, Mapping):
        raise ValueError(
            f"an output line is a JSON object, got {type(content).__name__}; "
            "pass one line of the output file, not the whole file"
        )
    prediction = content.get("prediction")
    prediction = prediction if isinstance(prediction, Mapping) else None
    instances = instances_of(content)
    explained = [instance["explanation"] for instance in instances if "explanation" in instance]
    unreadable: ExplanationFormatError | None = None
    if "error" not in content and len(explained) == len(instances):
        try:
            explanations = [Explanation.from_json(explanation) for explanation in explained]
        except ExplanationFormatError as error:
            unreadable = error
        else:
            render(explanations, prediction, console, title=title, legend=legend, words=words)
            return
    page = _Page(console or Console(), [name for instance in instances for name in instance])
    if title is not None:
        page.heading(title)
    page.prediction(prediction, [])
    if "error" in content:
        page.error(content["error"], content.get("input"))
    elif unreadable is not None:
        page.row("error", _words(f"this line cannot be shown: {unreadable}"))
    else:
        for number, instance in enumerate(instances, start=1):
            if len(instances) > 1:
                page.heading(f"{number} of {len(instances)}")
            page.bare_scores(instance, prediction or {})
    page.print()


class _Page:
    """Rows of a label and wrapped content, collected and printed in one go."""

    def __init__(self, console: Console, labels: Iterable[str] = ()) -> None:
        self._console = console
        self._encoding = "utf-8" if console.encoding.lower().startswith("utf") else "ascii"
        # A recording console without a terminal has a colour system of None, a terminal with
        # NO_COLOR has one but must not use it.
        self._colours = console.color_system is not None and not console.no_color
        self._few_colours = console.color_system in ("standard", "windows")
        longest = max((cell_len(self._safe(label)) for label in labels), default=0)
        self._indent = min(max(longest + 2, _INDENT), 2 * _INDENT)
        self._lines: list[Text] = []
        self._lined = False

    def heading(self, text: str) -> None:
        if self._lines:
            self._lines.append(Text())
        self._lines.append(Text(self._safe(text), style="bold"))

    def row(
        self, label: str, units: Iterable[str | Text], style: str = "", separator: str = " "
    ) -> None:
        """Appends a row; its lines break between units, and inside one only if it must."""
        width = max(self._console.width - self._indent - 1, 8)
        name = self._safe(label)
        # A style of the whole Text would spread over what is appended to it.
        prefix = Text().append(name, style=self._tint("dim"))
        if cell_len(name) >= self._indent:
            self._lines.append(prefix)
            prefix = Text()
        prefix.append(" " * max(self._indent - prefix.cell_len, 0))
        for line in self._packed(units, width, separator, style):
            self._lines.append(prefix + line)
            prefix = Text(" " * self._indent)

    def _packed(
        self, units: Iterable[str | Text], width: int, separator: str, style: str
    ) -> list[Text]:
        lines = [Text()]
        for unit in units:
            text = Text(self._safe(unit), style=style) if isinstance(unit, str) else unit
            parts = [text]
            if text.cell_len > width:
                parts = list(text.wrap(self._console, width, overflow="fold"))
            for part in parts:
                if not lines[-1]:
                    lines[-1] = part.copy()
                elif lines[-1].cell_len + len(separator) + part.cell_len <= width:
                    lines[-1] = lines[-1] + Text(separator) + part
                else:
                    lines.append(part.copy())
        return lines

    def prediction(
        self, prediction: Mapping[str, Any] | None, explanations: Sequence[Explanation]
    ) -> None:
        shown = predicted(prediction or {}, explanations)
        if shown is not None:
            self.row("prediction", _words(shown), style="bold")

    def matrices(self, matrices: Sequence[Matrix]) -> None:
        scale = max((one.strongest for one in matrices), default=0.0)
        ellipsis = "\u2026" if self._encoding == "utf-8" else "..."
        for matrix in matrices:
            self.heading(f"{matrix.field}: a row for each token of the text")
            safe = replace(
                matrix,
                rows=[self._safe(name) for name in matrix.rows],
                columns=[self._safe(name) for name in matrix.columns],
            )
            width = self._console.width - 1
            self._lines += matrix_lines(safe, scale, width, self._style, ellipsis)

    def explanation(self, explanation: Explanation, fields: bool = True) -> None:
        self.row("explained", _words(target_in_words(explanation)))
        scores = [abs(score) for item in explanation.inputs for score in item.attributions]
        scale = max(scores, default=0.0)
        if not explanation.inputs:
            self.row("fields", _words("none: the model embedded no text field of this input"))
        marked = {*marks_of(explanation)}
        for number, attribution in enumerate(explanation.inputs if fields else ()):
            self._field(attribution, scale, {n for field, n in marked if field == number})
        if (self._colours or not fields) and scale > 0:
            self.row("strongest", self._strongest(explanation, scale), separator="  ")
        outcome = self._outcome(explanation)
        if outcome:
            self.row("outcome", outcome, style=self._tint("dim"))
        for warning in explanation.warnings:
            self.row("warning", _words(str(warning)), style=self._tint("yellow"))

    def _field(
        self, attribution: InputAttribution, scale: float, marked: Set[int] = frozenset()
    ) -> None:
        self._lined |= bool(marked)
        if not attribution.tokens:
            self.row(attribution.field, ["(no tokens)"])
        elif self._colours:
            pieces = readable(attribution.tokens, attribution.offsets, self._encoding)
            words: list[Text] = []
            scores = attribution.attributions
            for number, (piece, score) in enumerate(zip(pieces, scores, strict=True)):
                if not piece.glued or not words:
                    words.append(Text())
                style = self._style(score / scale if scale else 0.0)
                underlined = Style(underline=True if number in marked else None)
                words[-1].append(piece.text, style=style + underlined)
            self.row(attribution.field, words)
        else:
            self.row(attribution.field, self._cells(attribution, scale), separator="  ")

    def _cells(self, attribution: InputAttribution, scale: float) -> list[str]:
        # Pieces of a word cannot touch once numbers stand between them, so they keep a mark.
        pieces = readable(attribution.tokens, None, self._encoding)
        return [
            f"{'##' if piece.glued else ''}{piece.text} {signed(score, scale)}"
            for piece, score in zip(pieces, attribution.attributions, strict=True)
        ]

    def _strongest(self, explanation: Explanation, scale: float) -> list[str]:
        scored = [
            pair
            for one in explanation.inputs
            for pair in zip(one.attributions, self._cells(one, scale), strict=True)
        ]
        scored.sort(key=lambda pair: -abs(pair[0]))
        return [cell for score, cell in scored[:_STRONGEST] if abs(score) >= FAINTEST * scale]

    def method(self, explanation: Explanation) -> None:
        parameters = dict(explanation.interpreter)
        parts = [str(parameters.pop("type", "unnamed"))]
        parts += [f"{name} {short(value)}" for name, value in parameters.items()]
        self.row("method", _listed(parts), style=self._tint("dim"))

    def _outcome(self, explanation: Explanation) -> list[str]:
        parts = []
        if explanation.convergence_delta is not None:
            parts.append(delta_in_words(explanation.convergence_delta, explanation.target))
        unassigned = sum(attribution.unassigned for attribution in explanation.inputs)
        if unassigned:
            parts.append(f"on no token {signed(unassigned, abs(unassigned))}")
        parts += [
            f"{name} {short(value)}"
            for name, value in explanation.details.items()
            if not isinstance(value, list) and explanation.interpreter.get(name) != value
        ]
        return _listed(parts)

    def legend(self) -> None:
        if not self._colours:
            self.row("legend", _words("+ speaks for what is explained, - against it"))
            return
        scale = Text("against ")
        for step in range(-4, 5):
            scale.append("   ", style=self._style(step / 4))
        scale.append(" for what is explained")
        strongest = "full colour: the strongest score of each explanation"
        lined = "; underlined: what is explained, its verb, head, antecedent" if self._lined else ""
        self.row("legend", [scale, f"({strongest}{lined})"])

    def error(self, error: Any, given: Any) -> None:
        message = error_in_words({"error": error})
        line = error.get("line") if isinstance(error, Mapping) else None
        where = f"line {line}: " if line is not None else ""
        self.row("error", _words(where + message), style=self._tint("bold red"))
        shown = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        if len(shown) > _MAX_INPUT:
            shown = shown[:_MAX_INPUT] + " [...]"
        self.row("input", _words(shown))

    def bare_scores(self, instance: Mapping[str, Any], prediction: Mapping[str, Any]) -> None:
        """Scores of an interpreter that gives no explanation: unsigned, and without tokens."""
        for name, value in instance.items():
            scores = value if isinstance(value, list) else []
            numbers = [float(score) for score in numbers_of(scores) or []]
            scale = max((abs(score) for score in numbers), default=0.0)
            tokens = prediction.get("tokens", prediction.get("words"))
            if isinstance(tokens, list) and len(tokens) == len(numbers) > 0:
                texts = [str(token) for token in tokens]
                self._field(
                    InputAttribution(name, name, texts, [None] * len(texts), numbers), scale
                )
            else:
                shown = [signed(score, scale).lstrip("+") for score in numbers]
                self.row(name, shown or ["(no scores)"])

    def _tint(self, style: str) -> str:
        return style if self._colours else ""

    def _style(self, ratio: float) -> Style:
        return style_of(ratio, self._few_colours) if self._colours else Style()

    def _safe(self, text: str) -> str:
        return printable(text, self._encoding)

    def print(self) -> None:
        self._console.print(
            Text("\n").join(self._lines), soft_wrap=True, highlight=False, markup=False, emoji=False
        )


def _listed(parts: Sequence[str]) -> list[str]:
    return [f"{part}," for part in parts[:-1]] + list(parts[-1:])


def _words(text: str) -> list[str]:
    return text.split(" ")
