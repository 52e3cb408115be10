"""Losses, written out."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from .calls import takes


@takes(F.cross_entropy)
def cross_entropy(given: Any) -> Tensor:
    """The negative log-likelihood of a log-softmax."""
    if given.label_smoothing or given.target.is_floating_point():
        raise NotImplementedError("cross entropy with soft labels")
    log_p = given.input.log_softmax(1)
    options = {"ignore_index": given.ignore_index, "reduction": given.reduction}
    return F.nll_loss(log_p, given.target, given.weight, **options)


@takes(F.mse_loss)
def mse_loss(given: Any) -> Tensor:
    """(input - target)²."""
    if given.weight is not None:
        raise NotImplementedError("a squared error with weights")
    return _reduced((given.input - given.target) ** 2, given)


@takes(F.l1_loss)
def l1_loss(given: Any) -> Tensor:
    """|input - target|."""
    if given.weight is not None:
        raise NotImplementedError("an absolute error with weights")
    return _reduced((given.input - given.target).abs(), given)


@takes(F.binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits(given: Any) -> Tensor:
    """-w t log σ(x) - (1 - t) log σ(-x), w the weight of the positives."""
    positive = given.target * F.logsigmoid(given.input)
    positive = positive if given.pos_weight is None else positive * given.pos_weight
    losses = -(positive + (1 - given.target) * F.logsigmoid(-given.input))
    return _reduced(losses if given.weight is None else losses * given.weight, given)


@takes(F.binary_cross_entropy)
def binary_cross_entropy(given: Any) -> Tensor:
    """-t log x - (1 - t) log(1 - x), logarithms above -100."""
    yes, no = (one.log().clamp(min=-100) for one in (given.input, 1 - given.input))
    losses = -(given.target * yes + (1 - given.target) * no)
    return _reduced(losses if given.weight is None else losses * given.weight, given)


def _reduced(losses: Tensor, given: Any) -> Tensor:
    if given.reduction == "none":
        return losses
    return losses.mean() if given.reduction == "mean" else losses.sum()
