"""Explanations out of scores per position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .alignment import TextItem, text_items, token_spans
from .embedding_space import EmbeddingSpace
from .errors import InterpretationError
from .explanation import AttentionMatrix, Explanation, InputAttribution, JsonDict
from .labels import labelled_span
from .reduction import Aggregation, drop_padding, unassigned

_LARGE_DELTA = 0.05
_ROUNDING = 1e-4
_MORE = "take more steps, or name a relative_tolerance"


@dataclass(frozen=True)
class Attribution:
    """What a method found out about the instances of a space.

    Attributes:
        scores: Score per position, `(instances, positions)`, in units of the target.
        baseline_values: For a method that is complete, the target at its baseline, `(instances,)`.
        absorbed: For a method that hands the target's value back through the model, what of it
            was handed to nothing of the input, `(instances,)`.
        details: Per instance what else the method reports; empty for nothing.
        advice: Per instance what to do if the scores do not add up to what they should; empty for
            what helps along a path.
        warnings: Per instance what a reader of the numbers should know; empty for nothing.
        matrices: Per instance the attention that the scores were read from; empty for none.
    """

    scores: Tensor
    baseline_values: Tensor | None = None
    details: Sequence[JsonDict] = field(default_factory=list)
    absorbed: Tensor | None = None
    advice: Sequence[str] = field(default_factory=list)
    warnings: Sequence[list[str]] = field(default_factory=list)
    matrices: Sequence[list[AttentionMatrix]] = field(default_factory=list)


def assemble(
    space: EmbeddingSpace,
    attribution: Attribution,
    interpreter: JsonDict,
    target: JsonDict,
    aggregation: Aggregation,
) -> list[Explanation]:
    """Makes one explanation per instance.

    Args:
        space: The instances.
        attribution: Their scores.
        interpreter: The method's config.
        target: The target's config.
        aggregation: How the scores of wordpieces become a token's.

    Raises:
        InterpretationError: If a score is not finite.
    """
    scores = drop_padding(attribution.scores.detach().double().cpu(), space.layout.tokens)
    if not torch.isfinite(scores).all():
        raise InterpretationError(
            f"the method {interpreter['type']!r} gave scores that are not finite; look for NaN or "
            "infinite weights, or gradients too large for the model's precision"
        )
    return [
        _explanation(space, attribution, scores[row], row, interpreter, target, aggregation)
        for row in range(len(space.instances))
    ]


def _explanation(
    space: EmbeddingSpace,
    attribution: Attribution,
    scores: Tensor,
    row: int,
    interpreter: JsonDict,
    target: JsonDict,
    aggregation: Aggregation,
) -> Explanation:
    inputs = _inputs(space, scores, row, aggregation)
    told: JsonDict = {**target, **_label(space, row), "value": float(space.values[row])}
    delta = None
    if attribution.baseline_values is not None:
        told["baseline_value"] = float(attribution.baseline_values[row])
        delta = told["value"] - told["baseline_value"] - float(scores.sum())
    if attribution.absorbed is not None:
        delta = told["value"] - float(attribution.absorbed[row]) - float(scores.sum())
    return Explanation(
        interpreter=interpreter,
        target=told,
        inputs=inputs,
        convergence_delta=delta,
        details=dict(attribution.details[row]) if attribution.details else {},
        warnings=[
            *_incomplete(told, delta, attribution.advice[row] if attribution.advice else _MORE),
            *(attribution.warnings[row] if attribution.warnings else []),
            *_zero(inputs, _with_text(space, row)),
        ],
        matrices=list(attribution.matrices[row]) if attribution.matrices else [],
    )


def incomplete(delta: float, change: float) -> bool:
    """Whether so much of a difference is missing that a reader must know."""
    return abs(delta) > _LARGE_DELTA * abs(change) and abs(delta) > _ROUNDING


def _incomplete(target: JsonDict, delta: float | None, advice: str) -> Iterator[str]:
    if delta is None or "baseline_value" not in target:
        return
    change = target["value"] - target["baseline_value"]
    if incomplete(delta, change):
        yield (
            f"the attributions lack {delta:.3g} of the difference {change:.3g} that they should "
            f"add up to; {advice}"
        )


def _with_text(space: EmbeddingSpace, row: int) -> frozenset[str]:
    """The fields that have more tokens than those which are in every text: of these alone nothing
    is expected."""
    return frozenset(
        call.field
        for call in space.layout.calls
        if bool(((call.tokens[row] >= 0) & ~call.special[row]).any())
    )


def _zero(inputs: Sequence[InputAttribution], with_text: frozenset[str]) -> Iterator[str]:
    for one in inputs:
        expected = one.field.partition("[")[0] in with_text
        if expected and one.tokens and not any(one.attributions):
            yield (
                f"all attributions of field {one.field!r} are zero: at the points that were looked "
                "at the target does not depend on it"
            )


def _label(space: EmbeddingSpace, row: int) -> JsonDict:
    if space.labels is None:
        return labelled_span(space.instances[row]) or {"label": None}
    positions = space.labels.positions(row)
    label: dict[str, Any] = {"label": space.labels.name(row)}
    return label if positions is None else {**label, "positions": positions}


def _inputs(
    space: EmbeddingSpace, scores: Tensor, row: int, aggregation: Aggregation
) -> list[InputAttribution]:
    names = list(dict.fromkeys(call.field for call in space.layout.calls))
    inputs: list[InputAttribution] = []
    for name in reversed(names):
        items = text_items(space.instances[row].fields[name])
        by_token, rest = _by_token(space, scores, row, name, items, aggregation)
        for number, item in enumerate(items):
            tokens = item.text.tokens
            own = by_token[item.first_token : item.first_token + len(tokens)]
            inputs.append(
                InputAttribution(
                    field=item.name(name),
                    grad_input=f"grad_input_{len(inputs) + 1}",
                    tokens=[token.text or "" for token in tokens],
                    offsets=token_spans(tokens),
                    attributions=own.tolist(),
                    unassigned=rest if number == 0 else 0.0,
                )
            )
    return inputs


def _by_token(
    space: EmbeddingSpace,
    scores: Tensor,
    row: int,
    name: str,
    items: Sequence[TextItem],
    aggregation: Aggregation,
) -> tuple[Tensor, float]:
    """The scores of a field's tokens over all calls that embedded it, and what fell beside."""
    count = sum(len(item.text.tokens) for item in items)
    total, rest = scores.new_zeros(count), 0.0
    for number, call in enumerate(space.layout.calls):
        if call.field == name:
            own = scores[space.layout.positions_of(number)]
            total += aggregation(own, call.tokens[row], count)
            rest += float(unassigned(own, call.tokens[row]))
    return total, rest
