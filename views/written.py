"""Explanations of one generated text: output by input, and the name of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution
from allennlp_saliency.views.outputs import is_relation, output_name
from allennlp_saliency.views.scored import token_names
from allennlp_saliency.views.tokens import predicted, printable, readable
from allennlp_saliency.views.words import word_groups

Numbers = list[float | None]


@dataclass(frozen=True)
class Matrix:
    """Scores of each output for each token of a field.

    Attributes:
        field: The field.
        rows: The outputs, as a reader should see them.
        columns: The field's tokens, likewise.
        values: The scores, a list per row; None where a token did not stand before the output yet.
    """

    field: str
    rows: list[str]
    columns: list[str]
    values: list[Numbers]

    def transposed(self) -> Matrix:
        """With a row per token, and a column per output."""
        values = [list(column) for column in zip(*self.values, strict=True)]
        return Matrix(self.field, self.columns, self.rows, values)

    @property
    def strongest(self) -> float:
        """The largest score, without its sign; 0 where there is none."""
        return max((abs(one) for row in self.values for one in row if one is not None), default=0.0)


def matrices_of_text(explanations: Sequence[Explanation], words: bool = False) -> list[Matrix]:
    """The matrices of a text that was explained token by token, a matrix per field.

    Explanations are those of one text if there are several of one method, their fields have the
    same tokens, and one field grows from each to the next: what was written before.

    Args:
        explanations: What an interpreter returned for one input.
        words: Whether columns are words, whose tokens' scores are added up.

    Returns:
        The fields that all outputs see first; empty if the explanations are no such text.
    """
    if len(explanations) < 2 or len({_method(one) for one in explanations}) > 1:
        return []
    names = {tuple(field.field for field in one.inputs) for one in explanations}
    if len(names) > 1:
        return []
    columns = [[one.inputs[n] for one in explanations] for n in range(len(names.pop()))]
    if not all(_grows(column) for column in columns):
        return []
    if not any(len(column[-1].tokens) > len(column[0].tokens) for column in columns):
        return []
    rows = [output_of(one) for one in explanations]
    columns.sort(key=lambda column: len(column[-1].tokens) > len(column[0].tokens))
    found = [_matrix(column, rows) for column in columns if column[-1].tokens]
    longest = [column[-1] for column in columns if column[-1].tokens]
    if not words:
        return found
    return [_by_word(one, own) for one, own in zip(found, longest, strict=True)]


def output_of(explanation: Explanation) -> str:
    """What was predicted, as a reader should see it; empty where it has no name."""
    label: Any = explanation.target.get("label")
    if isinstance(label, list):
        return " ".join(map(str, label))
    return "" if label is None else readable([str(label)])[0].text


def output_in_words(explanation: Explanation) -> str:
    """What was predicted and of which part of the text, with its probability where that is known:
    `positive 98.0 %`, `PER: Ada Lovelace (99.1 %)`."""
    name, label = _named(explanation), explanation.target.get("label")
    # Of a verb's tags the mean is known, which is no probability.
    if not isinstance(label, (str, int)) or "verb" in explanation.target:
        return name
    known = predicted({"label": label}, [explanation]) or ""
    sure = known.removeprefix(str(label))
    return f"{name} ({sure.strip()})" if sure and name != output_of(explanation) else name + sure


def titles_of(explanations: Sequence[Explanation]) -> list[str]:
    """Which output of how many each explanation belongs to: `token 3 of 7: 'Paris'`, `2 of 8: ARG1
    of sold: the mill`."""
    of_text = bool(matrices_of_text(explanations))
    titles = []
    for number, one in enumerate(explanations, start=1):
        kind = "" if not of_text else "part " if "positions" in one.target else "token "
        plain = output_of(one)
        name = plain if of_text else _named(one)
        shown = f"'{name}'" if name == plain else name
        titles.append(f"{kind}{number} of {len(explanations)}" + (f": {shown}" if name else ""))
    return titles


def _named(explanation: Explanation) -> str:
    """The output's name; empty where nothing but the kind of the target is known."""
    target = explanation.target
    if is_relation(target) or "positions" in target:
        return printable(output_name(explanation))
    return output_of(explanation)


def _method(explanation: Explanation) -> str:
    target = explanation.target
    return repr((sorted(explanation.interpreter.items(), key=str), target.get("type")))


def _grows(column: Sequence[InputAttribution]) -> bool:
    longest = column[-1].tokens
    lengths = [len(one.tokens) for one in column]
    return lengths == sorted(lengths) and all(
        one.tokens == longest[: len(one.tokens)] for one in column
    )


def _by_word(matrix: Matrix, one: InputAttribution) -> Matrix:
    groups = word_groups(one)
    names = ["".join(matrix.columns[n] for n in group) for group in groups]
    values = [[_sum([row[n] for n in group]) for group in groups] for row in matrix.values]
    return Matrix(matrix.field, matrix.rows, names, values)


def _sum(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return fsum(known) if known else None


def _matrix(column: Sequence[InputAttribution], rows: list[str]) -> Matrix:
    last = column[-1]
    width = len(last.tokens)
    values: list[Numbers] = [
        [*one.attributions, *[None] * (width - len(one.tokens))] for one in column
    ]
    return Matrix(last.field, list(rows), token_names(last), values)
