"""The loss of every row, from the one loss that a model returns for a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..errors import InterpretationError

_TOLERANCE = 1e-4
_DISTINGUISHING_LOSS = 1e-2


class RowLoss:
    """Takes the loss of a batch apart.

    A model's loss is one scalar, whatever the number of rows. Usually it is the mean of the rows'
    cross entropies, which can be computed from the model's logits; then these are used instead,
    and on every batch it is checked that their mean (or sum) is the loss. Where it is not, the
    scalar itself is explained: its gradient with respect to a row is the gradient of the row's own
    loss, divided by the number of rows if the loss is a mean.

    Args:
        reduction: None to look for a cross entropy; "mean" or "sum" where the scalar is known to be
            the mean or the sum of the rows' losses.

    Attributes:
        reduction_unknown: Whether a batch's loss was used without knowing whether it is a mean or a
            sum.
    """

    def __init__(self, reduction: str | None = None) -> None:
        self.reduction = reduction
        self.reduction_unknown = False
        self._formula: str | None = None
        self._formula_reduction: str | None = None
        self._largest_loss = 0.0
        self._checks: list[Tensor] = []

    def __call__(
        self, loss: Tensor, candidates: Mapping[str, Tensor], rows: int
    ) -> tuple[Tensor, bool]:
        """The loss per row.

        Args:
            loss: What the model returned, a scalar.
            candidates: By name, possible losses of the rows, `(rows,)` each.
            rows: How many rows there are.

        Returns:
            The losses, `(rows,)`, and whether the rows are entangled: then the sum has the gradient
            of the sum of the rows' losses, but no entry is the loss of its row.
        """
        if loss.dim() and loss.numel() == rows:
            return loss.reshape(-1), False
        loss = loss.sum()
        if self.reduction is None:
            if self._formula is None:
                fitting = (name for name in candidates if not self._wrong(loss, candidates[name]))
                self._formula = next(fitting, None)
            if self._formula is not None:
                known = candidates[self._formula]
                self._checks.append(self._wrong(loss, known))
                self._largest_loss = max(self._largest_loss, float(loss.detach()))
                return known, False
            self.reduction_unknown = True
        return (loss / rows if self.reduction == "sum" else loss).expand(rows), rows > 1

    @property
    def identified(self) -> bool:
        """Whether a loss has been seen that is large enough to distinguish one formula from
        another."""
        return self._formula is None or self._largest_loss > _DISTINGUISHING_LOSS

    @property
    def refuted(self) -> bool:
        """Whether the loss of some batch differed from the formula's."""
        return any(bool(check) for check in self._checks)

    def _wrong(self, loss: Tensor, rows: Tensor) -> Tensor:
        """Whether the loss is neither the mean nor the sum of the rows' losses; once a batch has
        shown which of the two it is, only that one is accepted."""
        wrong = {
            name: ~torch.isclose(
                loss.detach().double(),
                whole.detach().double(),
                rtol=_TOLERANCE,
                atol=1e-6,
                equal_nan=True,
            )
            for name, whole in (("mean", rows.mean()), ("sum", rows.sum()))
        }
        if len(rows) == 1:
            return wrong["sum"]
        if self._formula_reduction is None:
            fitting = [name for name, differs in wrong.items() if not bool(differs)]
            if len(fitting) == 1:
                self._formula_reduction = fitting[0]
            return wrong["mean"] & wrong["sum"]
        return wrong[self._formula_reduction]


class RowLossError(Exception):
    """The losses of a batch's rows were taken from a formula that does not hold."""


def find_reduction(
    loss_at: Callable[[Tensor, Tensor], float], points: Sequence[Tensor], rows: Tensor, model: str
) -> str:
    """Whether a model's loss is the mean or the sum of the rows' losses.

    Found by running all rows in one batch and each alone. If one instance has a larger weight than
    another, for its label or its number of tags, they cannot share a batch.

    Args:
        loss_at: The loss of a batch of rows at points.
        points: A point for each instance, `(instances, size)`; the next where the losses at the
            last are nearly 0.
        rows: The instance of each row, `(rows,)`, at least two.
        model: The model's name, for the message.

    Raises:
        InterpretationError: If it is neither; then the instances cannot share a batch.
    """
    together = alone = 0.0
    for own in points:
        if abs(alone) < _DISTINGUISHING_LOSS:
            together, alone = loss_at(own, rows), sum(loss_at(own, row) for row in rows.split(1))
    for name, whole in (("mean", alone / len(rows)), ("sum", alone)):
        if abs(together - whole) <= _TOLERANCE * abs(whole) + 1e-7:
            return name
    raise InterpretationError(
        f"the loss of {model} is {together:.6g} for {len(rows)} rows whose losses add up to "
        f"{alone:.6g}, neither their mean nor their sum; use a target that reads the model's "
        "outputs ('logit', 'probability')"
    )
