"""Losses, written out. Their arguments are those of `torch.nn.functional`."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log-likelihood of a log-softmax."""
    if label_smoothing or target.is_floating_point():
        raise NotImplementedError("cross entropy with soft labels")
    log_p = input.log_softmax(1)
    return F.nll_loss(log_p, target, weight, ignore_index=ignore_index, reduction=reduction)


def _of_difference(name: str, error: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def loss(
        input: Tensor,
        target: Tensor,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> Tensor:
        if weight is not None:
            raise NotImplementedError(f"{name} with weights")
        return _reduced(error(input - target), reduction)

    return loss


mse_loss = _of_difference("a squared error", lambda difference: difference**2)
l1_loss = _of_difference("an absolute error", lambda difference: difference.abs())


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-w t log σ(x) - (1 - t) log σ(-x), w the weight of the positives."""
    positive = target * F.logsigmoid(input)
    positive = positive if pos_weight is None else positive * pos_weight
    losses = -(positive + (1 - target) * F.logsigmoid(-input))
    return _reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """-t log x - (1 - t) log(1 - x), logarithms above -100."""
    yes, no = (one.log().clamp(min=-100) for one in (input, 1 - input))
    losses = -(target * yes + (1 - target) * no)
    return _reduced(losses if weight is None else losses * weight, reduction)


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
