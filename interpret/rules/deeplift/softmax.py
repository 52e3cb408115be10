"""DeepLIFT's rule for softmax and its relatives: the rescale rule for exp, Σ and log, chained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...operations.calls import Call, attach
from ..rule_mode import operand_and_dim


def log_mean(p: Tensor, q: Tensor, log_ratio: Tensor) -> Tensor:
    """(p - q) / (log p - log q), the logarithmic mean: between p and q, zero where both are.

    Written as max(p, q) (1 - e⁻ᵘ) / u with u = |log p - log q|: p - q has rounding errors that
    log p - log q has not.
    """
    u = log_ratio.abs()
    same = u == 0
    share = torch.where(same, 1, -torch.expm1(-u) / torch.where(same, 1, u))
    return torch.maximum(p, q) * share


@dataclass(frozen=True)
class _LogSum:
    """log Σ exp x in both passes, and how it is shared out.

    The rescale rule for exp and log gives w_j = L(e^x_j, e^x⁰_j) / L(S, S⁰), L the logarithmic
    mean and S the sums. L is concave and homogeneous, so the weights are positive and add up to
    at most 1, however far apart the passes are.

    Attributes:
        weights: w.
        log_p: x - log Σ exp x; the largest is taken away first, so that no digits are lost.
        log_p_0: The same for the baseline.
    """

    weights: Tensor
    log_p: Tensor
    log_p_0: Tensor

    @classmethod
    def of(cls, x: Tensor, x_0: Tensor, dim: int) -> _LogSum:
        (log_p, top, rest), (log_p_0, top_0, rest_0) = (_log_shares(s, dim) for s in (x, x_0))
        shift = (top - top_0) + (rest - rest_0)
        up, down = ((s - shift.abs()) / 2 for s in (shift, -shift))
        change = (x - x_0).nan_to_num(0, 0, 0)
        of_each = log_mean((log_p + up).exp(), (log_p_0 + down).exp(), change)
        return cls(of_each / log_mean(up.exp(), down.exp(), shift), log_p, log_p_0)


def _log_shares(x: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    top = x.amax(dim, keepdim=True)
    top = top.masked_fill(top.isinf(), 0)
    rest = (x - top).exp().sum(dim, keepdim=True).log()
    return x - top - rest, top, rest


def log_softmax(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y_i = x_i - log Σ exp x."""
    x, dim = operand_and_dim(call)
    sums = _LogSum.of(x.detach(), reference[0].to(x.dtype), dim)
    return attach(sums.log_p, x - (sums.weights * _finite(x)).sum(dim, keepdim=True))


def softmax(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y = exp(log softmax x): the rescale rule for exp on top of that for the log-softmax."""
    x, dim = operand_and_dim(call)
    sums = _LogSum.of(x.detach(), reference[0].to(x.dtype), dim)
    p, p_0 = sums.log_p.exp(), sums.log_p_0.exp()
    m = log_mean(p, p_0, (sums.log_p - sums.log_p_0).nan_to_num(0, 0, 0))
    finite = _finite(x)
    return attach(p, m * (finite - (sums.weights * finite).sum(dim, keepdim=True)))


def log_sum_exp(call: Call, reference: list[Tensor], output: Tensor) -> Tensor:
    """y = log Σ exp x."""
    x, dim = operand_and_dim(call)
    sums = _LogSum.of(x.detach(), reference[0], dim)
    keepdim = call.kwargs.get("keepdim", call.args[2] if len(call.args) > 2 else False)
    return attach(call.of(x.detach()), (sums.weights * _finite(x)).sum(dim, keepdim=keepdim))


def _finite(x: Tensor) -> Tensor:
    # What is masked has weight 0, and 0 · inf would be NaN.
    return x.masked_fill(x.detach().isinf(), 0)
