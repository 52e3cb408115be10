"""Models that put the rows of a batch in another order before they embed them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import InterpretationError
from ..model.twin import Twin, name_of
from ..target.prediction_check import tolerance


def check_order(
    twin: Twin,
    points: Tensor,
    rows: Tensor,
    values: Tensor,
    forward: Callable[[Tensor, Tensor], tuple[Tensor, bool]],
) -> int:
    """Makes sure that the target of a row of a batch is that of its own point.

    Copies of one instance have the same ids, so it cannot be seen which row is which where a model
    embeds other tensors than it was given. Rows that are sorted by length are in another order
    even if all are of one length: torch's `argsort` of more than 16 equal numbers is none, unless
    it is stable. Tried with the two rows that differ most.

    Args:
        twin: The private copy of the predictor.
        points: The points of the rows, `(rows, size)`.
        rows: The instance of each, `(rows,)`.
        values: The target of the batch, `(rows,)`.
        forward: The target of other points, and of which instances, `(rows,)`.

    Returns:
        How many rows there are.

    Raises:
        InterpretationError: If a row has another target alone.
    """
    own = values.detach().double()
    most = max(tolerance(twin.device, twin.dtype) * float(own.abs().max()), 1e-6)
    for number in {int(own.argmax()), int(own.argmin())}:
        with torch.no_grad():
            alone, _ = forward(points[[number]].detach(), rows[[number]])
        if abs(float(alone) - float(own[number])) > most:
            raise InterpretationError(
                f"{name_of(twin.model)} returns other numbers for a row of a batch than for the "
                "row alone: it puts rows in another order before it embeds them"
            )
    return len(rows)
