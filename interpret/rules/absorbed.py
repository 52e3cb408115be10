"""An account of the relevance that is handed to nothing of the input."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Absorbed:
    """Relevance that was handed on to nothing of the input, by what took it.

    Attributes:
        amounts: Sums, in units of the target: under "bias" what biases and other constants took,
            under "softmax", "epsilon" and "nonlinearity" what these did, under the name of an
            operation without a rule what that did.
    """

    def __init__(self) -> None:
        self.amounts: dict[str, float] = defaultdict(float)

    def constant(self, tensor: Tensor, constant: Tensor | float) -> Tensor:
        """The tensor; on the way back, what its relevance is for an addend of it is noted."""
        return self._watched(tensor, "bias", constant, 1.0)

    def difference(
        self, before: Sequence[Tensor], after: Tensor, cause: str
    ) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
        """Operands and a function for the result: the relevance that went into the result but did
        not come out of the operands is noted under a cause."""
        watched = [self._watched(one, cause, one.detach(), -1.0) for one in before]
        return watched, lambda result: self._watched(result, cause, after.detach(), 1.0)

    def share(self, result: Tensor, amount: Tensor, cause: str) -> Tensor:
        """The result; the relevance of an addend of it is noted under a cause."""
        return self._watched(result, cause, amount, 1.0)

    def _watched(self, tensor: Tensor, cause: str, amount: Tensor | float, sign: float) -> Tensor:
        if not tensor.requires_grad:
            # The model, or an operation without a derivative, hands nothing on.
            return tensor
        # A copy: the model may work in place on what it is given.
        watched = tensor.clone()

        def note(grad: Tensor) -> None:
            relevance = grad * amount
            if isinstance(amount, Tensor):
                # What is masked has no relevance, whatever its gradient.
                relevance = torch.where(amount.isfinite() & (amount != 0), relevance, 0)
            self.amounts[cause] += sign * float(relevance.sum(dtype=torch.float64))

        watched.register_hook(note)
        return watched
