"""Targets where a model's loss cannot be taken apart by rows."""

from __future__ import annotations

from ..errors import InterpretationError
from .targets import LogLikelihood, Target


def check_linear(target: Target, model: str) -> None:
    """Makes sure that a target may be differentiated where only the sum of the rows' losses is
    known: the log-likelihood may. Of another function of the loss, such as the log-odds, the
    derivative depends on the row's own loss, so each row has to be run alone.

    Args:
        target: The target, which has read such losses.
        model: The model's name, for the message.

    Raises:
        InterpretationError: If it may not.
    """
    if type(target).__call__ is not LogLikelihood.__call__:
        raise InterpretationError(
            f"the loss of {model} is one number for all rows of a batch, and what target "
            f"{target.title} makes of it has to be computed row by row; set token_budget to 1"
        )
