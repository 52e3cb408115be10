"""The span that a model answers with, as a target."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import checks
from ..errors import InterpretationError
from ..explanation import JsonDict
from .outputs import ModelOutputs
from .targets import Target


def best_spans(starts: Tensor, ends: Tensor) -> Tensor:
    """The first and last position of each row with the highest sum of logits, first <= last.

    Args:
        starts: `(rows, positions)`, the logits of the first position.
        ends: Those of the last.

    Returns:
        `(rows, 2)`.
    """
    sums = starts.unsqueeze(2) + ends.unsqueeze(1)
    sums = sums.masked_fill(~torch.ones_like(sums, dtype=torch.bool).triu(), -torch.inf)
    best, width = sums.flatten(1).argmax(1), starts.shape[1]
    return torch.stack([best // width, best % width], dim=1)


@Target.register("span")
class Span(Target):
    """Start logit plus end logit of a span: the answer of an extractive question answerer. Where
    the prediction is "no answer", the sum of the two logits for it.

    Args:
        start: First position of the span, as the model counts; None for the predicted one.
        end: Last position of the span; None for the predicted one. Of a text that is read in
            windows both are positions in the window that the answer is in.

    Raises:
        ConfigurationError: If a position is no number, or negative.
    """

    def __init__(self, start: int | None = None, end: int | None = None) -> None:
        super().__init__()
        self.start = checks.optional_integer("start", start, least=0)
        self.end = checks.optional_integer("end", end, least=0)
        self._spans: Tensor | None = None

    def at_input(self, outputs: ModelOutputs) -> Target:
        fixed = type(self)(self.start, self.end)
        fixed._spans = self._given_or_best(outputs)
        return fixed

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        starts, ends = outputs.span_logits
        spans = self._given_or_best(outputs) if self._spans is None else self._spans[outputs.rows]
        spans = spans.to(starts.device)
        chosen = (starts.gather(1, spans[:, :1]) + ends.gather(1, spans[:, 1:])).squeeze(1)
        none = outputs.no_answer if self.start is None and self.end is None else None
        return chosen if none is None else torch.where(none[0], none[1], chosen)

    def explained_label(self, label: JsonDict) -> JsonDict:
        # The label is the text of the predicted span.
        return label if self.start is None and self.end is None else {"label": None}

    def _given_or_best(self, outputs: ModelOutputs) -> Tensor:
        """First and last position per row, `(rows, 2)`: the best pair with start <= end."""
        starts, ends = (logits.detach().cpu() for logits in outputs.span_logits)
        last = starts.shape[1] - 1
        for position in (self.start, self.end):
            if position is not None and not 0 <= position <= last:
                raise InterpretationError(
                    f"the span from {self.start} to {self.end} is not within the positions 0 to "
                    f"{last} that the model has logits for"
                )
        spans = best_spans(starts, ends)
        for side, position in enumerate((self.start, self.end)):
            if position is not None:
                spans[:, side] = position
        return spans
