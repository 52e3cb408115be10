"""Texts as the page draws them: pieces, their tokens, and the words and sentences of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allennlp_saliency.interpret.explanation import (
    Explanation,
    InputAttribution,
    JsonDict,
    Span,
)
from allennlp_saliency.interpret.inputs.token_groups import grouped
from allennlp_saliency.views.outputs import WRITTEN
from allennlp_saliency.views.text import running_text
from allennlp_saliency.views.tokens import is_special, unmarked

LEVELS = ("word", "sentence")
_KINDS = ("text", "special", "unknown", "absent")
SPECIAL = _KINDS.index("special")
_FIRST = ("title", "prompt", "source", "question", "premise")


class Layouts:
    """The texts of a page; one that stands in several explanations is kept once."""

    def __init__(self) -> None:
        self.all: list[JsonDict] = []
        self._known: dict[Any, int] = {}

    def of(self, one: InputAttribution, written: bool = False) -> int:
        """The number of a field's text; `written` if the model wrote it, special tokens and all."""
        key = (tuple(one.tokens), tuple(one.offsets), one.text, written)
        if key not in self._known:
            self._known[key] = len(self.all)
            self.all.append(_layout(one, written))
        return self._known[key]


def _layout(one: InputAttribution, written: bool) -> JsonDict:
    pieces = []
    apart: set[int] = set()
    for piece in running_text(one):
        kind = _KINDS.index(piece.kind)
        names = [one.tokens[number] for number in piece.tokens]
        if written and names == [piece.text] and is_special(piece.text):
            kind = SPECIAL
            apart.update(piece.tokens)
        pieces.append([piece.text, list(piece.tokens), kind])
    levels = {}
    for level in LEVELS:
        groups = grouped(one.tokens, one.offsets, one.text, level)
        own = [[number for number in group.tokens if number not in apart] for group in groups]
        levels[level] = [numbers for numbers in own if len(numbers) > 1]
    return {"pieces": pieces, "count": len(one.tokens), **levels}


def reading_order(inputs: Sequence[InputAttribution]) -> list[int]:
    """The numbers of fields as a reader wants them: `grad_input_1` is the last-embedded field, the
    written text comes last."""
    names = [one.field.partition("[")[0] for one in inputs]
    order = list(dict.fromkeys(names))

    def place(number: int) -> tuple[bool, bool, int, int]:
        name = names[number]
        return name == WRITTEN, name not in _FIRST, -order.index(name), number

    return sorted(range(len(inputs)), key=place)


def written_text(outputs: Sequence[Explanation]) -> InputAttribution | None:
    """The text that a model wrote, whose tokens are what is explained of it; None if these are no
    explanations of a written text.

    Args:
        outputs: The explanations of one method, in the order of the text.
    """
    fields = [_written(one) for one in outputs]
    labels = [one.target.get("label") for one in outputs]
    if not fields or any(one is None for one in fields) or not all(map(_is_text, labels)):
        return None
    names = [str(label) for label in labels]
    text = fields[0].text if fields[0] is not None else None
    offsets: list[Span | None] = [None] * len(names)
    if text is not None:
        offsets = _found([piece.text for piece in unmarked(names)], text)
    return InputAttribution(WRITTEN, "grad_input_1", names, offsets, [0.0] * len(names), text=text)


def owners_of_prefix(
    outputs: Sequence[Explanation], written: InputAttribution
) -> list[list[int | None]]:
    """Per explanation of a written text and per token before it, which output that token is."""
    first = _written(outputs[0])
    lead = 0 if first is None else len(first.tokens)
    places = [(n, span) for n, span in enumerate(written.offsets) if span is not None]
    found = []
    for output in outputs:
        one = _written(output)
        own: list[int | None] = []
        for number, span in enumerate([] if one is None else one.offsets):
            touched = [
                n for n, at in places if span is not None and at[0] < span[1] and span[0] < at[1]
            ]
            by_number = number - lead if 0 <= number - lead < len(written.tokens) else None
            own.append(touched[0] if touched else by_number if not places else None)
        found.append(own)
    return found


def _written(explanation: Explanation) -> InputAttribution | None:
    return next((one for one in explanation.inputs if one.field == WRITTEN), None)


def _is_text(label: Any) -> bool:
    return isinstance(label, str) and bool(label)


def _found(names: Sequence[str], text: str) -> list[Span | None]:
    """Where outputs stand in the text, each after the one before it."""
    spans: list[Span | None] = []
    end = 0
    for name in names:
        start = text.find(name, end) if name else -1
        # A token far behind is another one: there is at most a space or a lost byte between.
        if start < 0 or len(text[end:start].strip()) > len(name) + 2:
            spans.append(None)
            continue
        end = start + len(name)
        spans.append((start, end))
    return spans
