"""Layer-wise relevance propagation with the AttnLRP treatment of attention.

Every rule hands the relevance of an output to its inputs. With relevance R = x · g, a rule is a
gradient g of another kind, so that rules chain as gradients do. What a rule does not hand on (to
biases and constants, to the softmax, to ε) is added up.

Achtibat et al. 2024, "AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for Transformers",
section 3; the ε rule is Bach et al. 2015, "On Pixel-Wise Explanations for Non-Linear Classifier
Decisions by Layer-Wise Relevance Propagation", equation 58.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .calls import Call, attach, depends
from .deeplift_rules import ELEMENTWISE
from .mode import Rule


class Absorbed:
    """Relevance that was handed on to nothing of the input, by what took it.

    Attributes:
        amounts: Sums, in units of the target: under "bias" what biases and other constants took,
            under "softmax", "epsilon" and "nonlinearity" what these did.
    """

    def __init__(self) -> None:
        self.amounts: dict[str, float] = defaultdict(float)

    def constant(self, tensor: Tensor, constant: Tensor | float) -> Tensor:
        """The tensor; on the way back, what its relevance is for an addend of it is noted."""
        return self._watched(tensor, lambda grad: {"bias": (grad * constant).sum()})

    def difference(
        self, before: Tensor, after: Tensor, cause: str
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """An operand and a function for the result: the relevance that went into the result but
        did not come out of the operand is noted under a cause."""
        kept: list[Tensor] = []

        def came_out(grad: Tensor) -> dict[str, Tensor]:
            return {cause: -(grad * before.detach()).sum()}

        def went_in(grad: Tensor) -> dict[str, Tensor]:
            return {cause: (grad * after.detach()).sum()}

        kept.append(before)
        return self._watched(before, came_out), lambda result: self._watched(result, went_in)

    def _watched(self, tensor: Tensor, amounts: Callable[[Tensor], dict[str, Tensor]]) -> Tensor:
        # A copy: the model may work in place on what it is given.
        watched = tensor.clone()

        def note(grad: Tensor) -> None:
            for cause, amount in amounts(grad).items():
                self.amounts[cause] += float(amount)

        watched.register_hook(note)
        return watched


def lrp_rules(absorbed: Absorbed, epsilon: float) -> dict[str, Rule]:
    """The rules, by operation.

    Args:
        absorbed: Where they note what they hand on to nothing.
        epsilon: ε of the rule for linear layers, in units of their outputs.
    """

    def stabilised(z: Tensor) -> Callable[[Tensor], Tensor]:
        """z with a gradient that is smaller by |z| / (|z| + ε)."""

        def shrink(result: Tensor) -> Tensor:
            size = z.detach().abs()
            share = size / (size + epsilon)
            shrunk = attach(result.detach(), result * share)
            return absorbed._watched(
                shrunk, lambda grad: {"epsilon": (grad * (1 - share) * z.detach()).sum()}
            )

        return shrink

    def linear(call: Call) -> Tensor:
        """R_i = Σ_j x_i w_ji R_j / (z_j + ε sign z_j), z = W x + b; b takes its own share."""
        z = call.function(*call.args, **call.kwargs)
        bias = _bias(call)
        if bias is not None:
            z = absorbed.constant(z, bias)
        return stabilised(z)(z) if epsilon else z

    def identity(call: Call) -> Tensor:
        """R_x = R_y for y = f(x), elementwise."""
        (x,) = call.operands
        y = call.of(x.detach())
        zero = x.detach() == 0
        ratio = y / torch.where(zero, torch.ones_like(y), x.detach())
        x, result = absorbed.difference(x, y, "nonlinearity")
        return result(attach(y, x * ratio.masked_fill(zero, 0)))

    def halves(call: Call) -> Tensor:
        """R_a = R_b = R_y / 2 for y = a b."""
        a, b = call.operands
        y = call.of(a.detach(), b.detach())
        return attach(y, (call.of(a, b.detach()) + call.of(a.detach(), b)) / 2)

    def taylor(call: Call) -> Tensor:
        """R_x = x · (∂y/∂x)ᵀ (R_y / y): the softmax's own derivative."""
        (x,) = call.operands
        finite = x.masked_fill(x.detach().isinf(), 0)
        y = call.function(*call.args, **call.kwargs)
        watched, result = absorbed.difference(
            finite, y.masked_fill(y.detach().isinf(), 0), "softmax"
        )
        masked = torch.where(x.detach().isinf(), x.detach(), watched)
        return result(call.of(masked))

    def layer_norm(call: Call) -> Tensor:
        """y = (x - mean x) r w + b with r a constant; b takes its own share."""
        named = dict(zip(("x", "shape", "weight", "bias", "eps"), call.args, strict=False))
        named.update(call.kwargs)
        x = call.operands[0]
        dims = tuple(range(-len(named["shape"]), 0))
        centred = x - x.mean(dims, keepdim=True)
        r = (centred.detach().square().mean(dims, keepdim=True) + named.get("eps", 1e-5)).rsqrt()
        y = centred * r if named.get("weight") is None else centred * r * named["weight"]
        if named.get("bias") is None:
            return y
        return absorbed.constant(y + named["bias"], named["bias"])

    def rms_norm(call: Call) -> Tensor:
        """y = x r w with r a constant."""
        named = dict(zip(("x", "shape", "weight", "eps"), call.args, strict=False))
        named.update(call.kwargs)
        x = call.operands[0]
        y = call.of(x.detach())
        scale = y / torch.where(x.detach() == 0, torch.ones_like(y), x.detach())
        return attach(y, x * scale)

    def constant(call: Call) -> Tensor:
        """The size by which a norm divides is a constant."""
        return call.of(*(operand.detach() for operand in call.operands))

    def quotient(call: Call) -> Tensor:
        """R_a = R_y for y = a / b: what divides is a constant, as in a norm."""
        a, b = call.args
        return a / b.detach() if depends(a) else identity(call)

    def largest(call: Call) -> Any:
        """R goes to the largest."""
        return call.function(*call.args, **call.kwargs)

    def power(call: Call) -> Tensor:
        exponent = call.args[1] if len(call.args) > 1 else call.kwargs.get("exponent")
        return constant(call) if isinstance(exponent, float) and exponent < 0 else identity(call)

    def addition(call: Call) -> Tensor:
        """R_a = a R_y / y, R_b = b R_y / y for y = a + b."""
        y = call.function(*call.args, **call.kwargs)
        others = [arg for arg in call.args[:2] if not depends(arg)]
        if not others:
            return y
        # What y is without the part that depends on the embeddings.
        fixed = call.of(*(torch.zeros_like(operand) for operand in call.operands))
        return absorbed.constant(y, fixed.masked_fill(fixed.abs() > _MASK, 0))

    def affine(call: Call) -> Tensor:
        """What stands beside parts that depend on the embeddings takes its own share."""
        y = call.function(*call.args, **call.kwargs)
        fixed = call.function(*map(_without_dependent, call.args), **call.kwargs)
        return absorbed.constant(y, fixed.masked_fill(fixed.abs() > _MASK, 0))

    return {
        **dict.fromkeys(ELEMENTWISE, identity),
        **dict.fromkeys(("rsqrt",), constant),
        **dict.fromkeys(("linear", "addmm", "conv1d", "conv2d"), linear),
        **dict.fromkeys(("add", "sub", "rsub"), addition),
        **dict.fromkeys(("batch_norm", "cat", "stack", "where", "masked_fill"), affine),
        **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), taylor),
        "pow": power,
        "product": halves,
        "div": quotient,
        **dict.fromkeys(("max", "amax", "topk", "sort"), largest),
        "layer_norm": layer_norm,
        "rms_norm": rms_norm,
    }


_MASK = 1e30
"""Numbers beyond this mask something out; nothing of a prediction is due to them."""


def _without_dependent(arg: Any) -> Any:
    if isinstance(arg, (list, tuple)):
        return type(arg)(map(_without_dependent, arg))
    return torch.zeros_like(arg) if depends(arg) else arg


def _bias(call: Call) -> Any:
    if call.name == "addmm":
        bias = None if depends(call.args[0]) else call.args[0]
        return bias if bias is None else bias * call.kwargs.get("beta", 1)
    bias = call.kwargs.get("bias", call.args[2] if len(call.args) > 2 else None)
    if bias is not None and call.name.startswith("conv"):
        return bias.view(-1, *(1,) * int(call.name[4]))
    return bias
