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
from .labels import among_texts, labelled_span, labelled_token
from .reduction import Aggregation, drop_padding, unassigned

_LARGE_DELTA = 0.05
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Attribution:
    """What a method found out about the instances of a space.

    Attributes:
        scores: Score per position, `(instances, positions)`, in units of the target.
        baseline_values: For a method that is complete, the target at its baseline, `(instances,)`.
        absorbed: For a method that hands the target's value back through the model, what of it
            was handed to nothing of the input, `(instances,)`.
        details: Per instance what else the method reports; empty for nothing.
        matrices: Per instance the attention that the scores were read from; empty for none.
    """

    scores: Tensor
    baseline_values: Tensor | None = None
    details: Sequence[JsonDict] = field(default_factory=list)
    absorbed: Tensor | None = None
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
        warnings=[*_incomplete(told, delta), *_zero(inputs, _with_text(space, row))],
        matrices=list(attribution.matrices[row]) if attribution.matrices else [],
    )


def _incomplete(target: JsonDict, delta: float | None) -> Iterator[str]:
    if delta is None or "baseline_value" not in target:
        return
    change = target["value"] - target["baseline_value"]
    if abs(delta) > _LARGE_DELTA * abs(change) and abs(delta) > _ROUNDING:
        yield (
            f"the attributions lack {delta:.3g} of the difference {change:.3g} that they should "
            "add up to; take more steps, or name a relative_tolerance"
        )


def _with_text(space: EmbeddingSpace, row: int) -> frozenset[str]:
    """The fields that have more tokens than those which are in every text: of these alone nothing
    is expected."""
    own = ~space.layout.special[row]
    return frozenset(
        name
        for name in space.layout.names
        if bool(((space.layout.tokens_of(name)[row] >= 0) & own).any())
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
    instance = space.instances[row]
    label: dict[str, Any] = {"label": space.labels.name(row)}
    positions = space.labels.positions(row)
    if positions is None:
        return {**label, **labelled_token(instance)}
    tags: Any = instance.fields.get(space.labels.field)
    return {**label, "positions": positions, **among_texts(instance, tags.sequence_field)}


def _inputs(
    space: EmbeddingSpace, scores: Tensor, row: int, aggregation: Aggregation
) -> list[InputAttribution]:
    inputs: list[InputAttribution] = []
    for name in reversed(space.layout.names):
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
        if name in call.names:
            own = scores[space.layout.positions_of(number)]
            tokens = call.tokens_of(name)[row]
            total += aggregation(own, tokens, count)
            rest += float(unassigned(own, tokens))
    return total, rest
