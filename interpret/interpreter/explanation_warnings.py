"""Warnings in explanations: one function for each condition.

Each returns the warning, or None where the condition does not hold. Advice names parameters of the
method; where it differs between methods, the method passes it in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..explanation import InputAttribution

if TYPE_CHECKING:
    from ..space.embedding_space import EmbeddingSpace

LARGE_DELTA = 0.05
IN_SINGLE_PRECISION = (
    "the model computes in sixteen bits, whose rounding may make as much: run it in single "
    "precision (model.float(), or the dtype 'float32')"
)
_HALF_DELTA = 0.01
_SIXTEEN_BITS = 1e-4
_ROUNDING = 1e-4
_ONE_POSITION = 0.95
_NOISE = 0.5
_MOSTLY = 0.5
# Of models that normalise their embeddings it is 3e-4 at most, of others 0.02 at least.
_CANCELLED = 1e-3


def incomplete(delta: float, due: float, what: str, remedy: str, rounding: float) -> str | None:
    """The warning that the attributions lack more than 5 % of what is due, or more than 1 % where a
    model computes in sixteen bits, in which that may be all that is wrong.

    Args:
        delta: What they lack.
        due: What they should add up to.
        what: What that is, the "difference" or the "value".
        remedy: What to do about more than 5 %, in the method's own parameters; may be empty.
        rounding: The relative rounding error of the floating type that the model computes in.
    """
    half = rounding > _SIXTEEN_BITS
    if not lacks(delta, due, _HALF_DELTA if half else LARGE_DELTA):
        return None
    advice = [remedy] if remedy and lacks(delta, due) else []
    if half and IN_SINGLE_PRECISION not in advice:
        advice.append(IN_SINGLE_PRECISION)
    warning = (
        f"the attributions lack {delta:.3g} of the {what} {due:.3g} that they should add up to"
    )
    return "; ".join([warning, *advice])


def lacks(delta: float, due: float, share: float = LARGE_DELTA) -> bool:
    """Whether more than a share, 5 %, of what attributions should add up to is missing."""
    return abs(delta) > share * abs(due) and abs(delta) > _ROUNDING


def overflow(rounding: float) -> str:
    """The advice where scores are not finite, from the rounding error of the model's floating
    type."""
    if rounding > _SIXTEEN_BITS:
        return (
            "gradients may be too large for sixteen bits: run the model in single precision "
            "(model.float(), or the dtype 'float32'); if they are not finite there, look for NaN "
            "or infinite weights"
        )
    return "look for NaN or infinite weights, or gradients too large for the model's precision"


def lost_by(lost: Mapping[str, float], unsupported_ops: Collection[str]) -> str:
    """The advice where the attributions of DeepLIFT lack much of the difference: from how much the
    operations lost, by name, and which of them it has no rule for."""
    unsupported = {name: amount for name, amount in lost.items() if name in unsupported_ops}
    if unsupported:
        return f"DeepLIFT has no rule for {_amounts(unsupported)}; use 'integrated-gradients'"
    if lost:
        return f"most was lost by {_amounts(lost)}; use 'integrated-gradients'"
    return "name another baseline, or use 'integrated-gradients'"


def absorbed_more(
    value: float,
    absorbed: Mapping[str, float],
    unsupported_ops: Collection[str],
    instead: str | None,
) -> str | None:
    """The warning that biases and non-linearities absorb more than the target's value, or that an
    operation without a rule absorbs much of it, or ε half of it.

    Args:
        value: The target's value.
        absorbed: How much of the value each operation absorbed, by its name.
        unsupported_ops: The operations that LRP has no rule for.
        instead: The name of a target that does not saturate; None where there is none.
    """
    unsupported = {name: absorbed[name] for name in absorbed if name in unsupported_ops}
    unsupported = {name: one for name, one in unsupported.items() if lacks(one, value)}
    if unsupported:
        return (
            f"LRP has no rule for {_amounts(unsupported)}, which absorbed that much of the value "
            f"{value:.3g}; use 'integrated-gradients'"
        )
    by_epsilon = absorbed.get("epsilon", 0.0)
    if abs(by_epsilon) > max(_MOSTLY * abs(value), _ROUNDING):
        return f"epsilon absorbed {by_epsilon:.3g}, and the value is {value:.3g}; lower epsilon"
    total = sum(absorbed.values())
    if abs(total) <= abs(value) or abs(total) <= _ROUNDING:
        return None
    advice = "use 'deeplift'" if instead is None else f"use the target {instead!r}, or 'deeplift'"
    return (
        f"biases, softmax and non-linearities absorbed {total:.3g}, more than the value "
        f"{value:.3g} that is explained (see 'absorbed'), so the attributions mostly balance that; "
        f"{advice}"
    )


def _amounts(of: Mapping[str, float]) -> str:
    return ", ".join(f"{name!r} ({amount:.3g})" for name, amount in of.items())


def zero(one: InputAttribution, with_text: frozenset[str], cause: str = "") -> str | None:
    """The warning that all attributions of a field are zero, if it has tokens of its own.

    Args:
        one: The field.
        with_text: The fields that have tokens of their own.
        cause: The method's own, such as a threshold; "" where it knows none.
    """
    if one.field.partition("[")[0] not in with_text or not one.tokens or any(one.attributions):
        return None
    return (
        f"all attributions of field {one.field!r} are zero: "
        f"{cause or 'at the points that were looked at the target does not depend on it'}"
    )


def saturated(space: EmbeddingSpace) -> list[list[str]]:
    """The warning that the target is saturated at an input, where its gradient says little; for
    methods that take the gradient at the input only.

    Returns:
        Per instance of the space a list with the warning, or an empty list.
    """
    target, instead = space.target, space.unsaturated_target
    advice = f"use the target {instead!r}" if instead else "use a target that does not saturate"
    return [
        [
            f"the target is saturated at the input (its value is {value:.3g}, the end of its "
            f"range): the gradient all but vanishes there and may point anywhere; {advice}"
        ]
        if target.saturated(value)
        else []
        for value in space.values.tolist()
    ]


def cancelled(space: EmbeddingSpace, scores: Tensor, sizes: Tensor) -> list[list[str]]:
    """The warning that products of embeddings and gradients cancel in every token, so that their
    sums say nothing: the model does not depend on the length of its embeddings.

    Args:
        space: The space.
        scores: The sums of each position, `(instances, positions)`.
        sizes: The same of the products' amounts.

    Returns:
        Per instance a list with the warning, or an empty list.
    """
    rounding = max(_CANCELLED, *(torch.finfo(one.dtype).eps / 2 for one in space.layout.calls))
    if not scores.shape[1]:
        return [[] for _ in scores]
    largest, most = scores.abs().amax(1), sizes.amax(1)
    return [
        [
            f"the products of embedding and gradient cancel in every token, to {score / size:.1g} "
            "of their size, and the attributions are what is left, as in models that normalise "
            "their embeddings, to which the length of these makes no difference; use "
            "'integrated-gradients' or 'deeplift'"
        ]
        if 0 < score < rounding * size
        else []
        for score, size in zip(largest.tolist(), most.tolist(), strict=True)
    ]


def one_position(scores: Tensor, names: Sequence[str]) -> str | None:
    """The warning that one position has over 95 % of the attention.

    Args:
        scores: Of the positions of an instance, padding left out, `(positions,)`.
        names: What stands there.
    """
    total = float(scores.abs().sum())
    if len(scores) < 2 or total == 0:
        return None
    highest = int(scores.abs().argmax())
    share = abs(float(scores[highest])) / total
    if share <= _ONE_POSITION:
        return None
    return (
        f"{share:.1%} of the attention is on one position, {highest} ({names[highest]!r}): an "
        "attention sink, which says nothing about the other tokens; use 'value-zeroing' or a "
        "gradient method"
    )


NOT_ITS_GRADIENT = (
    "the gradient that the model gives is not that of what it computes, also where it hardly "
    "changes (a part is detached or rounded, or has a backward pass of its own), so no number of "
    "steps helps; use a method that needs values only, such as 'leave-one-out'"
)
"""The warning that an integral of the gradient is that of another function than the target."""


def jump(height: float, place: float, width: float) -> str:
    """The warning that the target jumps along a path, so that no integral of its gradient is
    complete: how high, where, and in which width it still does, as shares of the path."""
    return (
        f"the target jumps by {height:.3g} at {place:.3g} of the way from the baseline (within "
        f"{width:.1g} of the path), which no integral of its gradient has, however many steps it "
        "takes; name another baseline, or use a method without a path, such as DeepLIFT"
    )


def unconverged(lacking: float, asked: float, steps: int, max_steps: int, rounding: float) -> str:
    """The warning that an integral was not refined to the tolerance: what its panels lack, added up
    without regard to sign, is more than was asked for."""
    half = f"; {IN_SINGLE_PRECISION}" if rounding > _SIXTEEN_BITS else ""
    return (
        f"not converged after {steps} points: the panels of the path lack {lacking:.3g}, and "
        f"{asked:.3g} was asked for; raise max_steps (now {max_steps}), or name another "
        f"baseline{half}"
    )


def noisy(sums: Tensor, samples: int) -> str | None:
    """The warning that the sum of scores that are a mean over random samples is mostly noise.

    Args:
        sums: The sum of the scores at each sample, `(samples,)`.
        samples: How many there are.
    """
    if samples < 2:
        return None
    mean, error = float(sums.mean()), float(sums.std()) / samples**0.5
    if error <= _NOISE * abs(mean) or error <= _ROUNDING:
        return None
    return (
        f"over {samples} random points the scores add up to {mean:.3g} with a standard error of "
        f"{error:.2g}; raise num_samples, or name another baseline"
    )


def token_incomplete(deltas: Tensor, dues: Tensor, remedy: str) -> str | None:
    """The warning that a token's score lacks more than 5 % of the difference that the token makes.

    Args:
        deltas: What the score of each token lacks, `(tokens,)`.
        dues: What it should be, `(tokens,)`.
        remedy: What to do about it.
    """
    # The scale is the largest difference of all tokens, as a token's own may be nearly 0.
    scale = LARGE_DELTA * dues.abs().amax() if len(dues) else torch.zeros(())
    worst = deltas.abs().amax() if len(deltas) else torch.zeros(())
    if worst <= scale or worst <= _ROUNDING:
        return None
    return (
        f"the score of a token lacks {float(worst):.3g} of the difference that it makes; {remedy}"
    )
