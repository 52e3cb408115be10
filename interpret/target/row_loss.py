"""The loss of every row, out of the one number that a model returns for a batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_TOLERANCE = 1e-4
_TELLING = 1e-2


class RowLoss:
    """Takes the loss of a batch apart.

    A model's loss is one scalar, whatever the number of rows. Usually it is the mean of what a
    cross entropy of the model's logits gives for each row; then that cross entropy is used
    instead, and it is checked on every batch that its mean (or sum) is the loss. Where it is not,
    the scalar itself is explained: its gradient with respect to a row is the row's own, divided by
    the number of rows if the loss is a mean.

    Args:
        reduction: None to look for a cross entropy; "mean" or "sum" to take the scalar for the
            mean or the sum of what it is for each row alone.

    Attributes:
        mixed: Whether the values returned last are not the rows' own, only their gradients.
        as_it_is: Whether a batch's scalar had to be taken without knowing its reduction.
    """

    def __init__(self, reduction: str | None = None) -> None:
        self.reduction = reduction
        self.mixed = False
        self.as_it_is = False
        self._formula: str | None = None
        self._formula_reduction: str | None = None
        self._largest_loss = 0.0
        self._checks: list[Tensor] = []

    def __call__(self, loss: Tensor, candidates: Mapping[str, Tensor], rows: int) -> Tensor:
        """The loss per row.

        Args:
            loss: What the model returned, a scalar.
            candidates: By name, what the loss of each row may be, `(rows,)`.
            rows: How many rows there are.

        Returns:
            `(rows,)`. Where `mixed` is set, its sum has the gradient of the sum of the rows'
            losses, but a value is not its row's.
        """
        loss = loss.reshape(-1) if loss.dim() else loss
        if loss.dim() and loss.shape[0] == rows:
            self.mixed = False
            return loss
        loss = loss.sum()
        if self.reduction is None:
            known = self._by_formula(loss, candidates)
            if known is not None:
                self.mixed = False
                return known
            self.as_it_is = True
        self.mixed = rows > 1
        factor = rows if self.reduction != "sum" else 1
        return (loss * factor / rows).expand(rows)

    @property
    def told(self) -> bool:
        """Whether a loss large enough to tell one formula from another has been seen."""
        return self._formula is None or self._largest_loss > _TELLING

    @property
    def refuted(self) -> bool:
        """Whether the loss of some batch was not what the formula said."""
        return any(bool(check) for check in self._checks)

    def _by_formula(self, loss: Tensor, candidates: Mapping[str, Tensor]) -> Tensor | None:
        if self._formula is None:
            for name, rows in candidates.items():
                if not bool(self._wrong(loss, rows)):
                    self._formula = name
                    break
            else:
                return None
        rows = candidates[self._formula]
        self._checks.append(self._wrong(loss, rows))
        self._largest_loss = max(self._largest_loss, float(loss.detach()))
        return rows

    def _wrong(self, loss: Tensor, rows: Tensor) -> Tensor:
        """Whether the loss is neither the mean nor the sum of the rows'; once it is known which
        of the two it is, the other counts no more."""
        if rows.shape[0] == 1:
            return _differ(loss, rows.sum())
        wrong = {"mean": _differ(loss, rows.mean()), "sum": _differ(loss, rows.sum())}
        if self._formula_reduction is None:
            fitting = [name for name, differs in wrong.items() if not bool(differs)]
            if len(fitting) == 1:
                self._formula_reduction = fitting[0]
            return wrong["mean"] & wrong["sum"]
        return wrong[self._formula_reduction]


def _differ(loss: Tensor, whole: Tensor) -> Tensor:
    loss, whole = loss.detach().double(), whole.detach().double()
    return ~torch.isclose(loss, whole, rtol=_TOLERANCE, atol=1e-6, equal_nan=True)
