"""The loss of every row, from the one loss that a model returns for a batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

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
        rows_entangled: Whether only the gradient of what was returned last is per row, not the
            value.
        reduction_unknown: Whether a batch's loss was used without knowing whether it is a mean or a
            sum.
    """

    def __init__(self, reduction: str | None = None) -> None:
        self.reduction = reduction
        self.rows_entangled = False
        self.reduction_unknown = False
        self._formula: str | None = None
        self._formula_reduction: str | None = None
        self._largest_loss = 0.0
        self._checks: list[Tensor] = []

    def __call__(self, loss: Tensor, candidates: Mapping[str, Tensor], rows: int) -> Tensor:
        """The loss per row.

        Args:
            loss: What the model returned, a scalar.
            candidates: By name, possible losses of the rows, `(rows,)` each.
            rows: How many rows there are.

        Returns:
            `(rows,)`. Where `rows_entangled` is set, the sum has the gradient of the sum of the
            rows' losses, but no entry is the loss of its row.
        """
        loss = loss.reshape(-1) if loss.dim() else loss
        if loss.dim() and loss.shape[0] == rows:
            self.rows_entangled = False
            return loss
        loss = loss.sum()
        if self.reduction is None:
            known = self._by_formula(loss, candidates)
            if known is not None:
                self.rows_entangled = False
                return known
            self.reduction_unknown = True
        self.rows_entangled = rows > 1
        factor = rows if self.reduction != "sum" else 1
        return (loss * factor / rows).expand(rows)

    @property
    def identified(self) -> bool:
        """Whether a loss has been seen that is large enough to distinguish one formula from
        another."""
        return self._formula is None or self._largest_loss > _DISTINGUISHING_LOSS

    @property
    def refuted(self) -> bool:
        """Whether the loss of some batch differed from the formula's."""
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
        """Whether the loss is neither the mean nor the sum of the rows' losses; once a batch has
        shown which of the two it is, only that one is accepted."""
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
