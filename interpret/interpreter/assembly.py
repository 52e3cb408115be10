"""Explanations from scores per position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import InterpretationError
from ..explanation import AttentionMatrix, Explanation, InputAttribution, JsonDict
from ..inputs.explained import explained_by
from ..inputs.labels import among_texts, labelled_span, labelled_token
from ..inputs.texts import TextItem, text_items, token_spans
from ..model.model_checks import RANDOM_WARNING
from ..reduction import Aggregation, drop_padding, unassigned
from ..space.embedding_space import EmbeddingSpace
from .explanation_warnings import incomplete, zero


@dataclass(frozen=True)
class Attribution:
    """The result of a method for the instances of a space.

    Attributes:
        scores: Score per position, `(instances, positions)`, in units of the target.
        baseline_values: For a method that is complete, the target at its baseline, `(instances,)`.
        absorbed: For a method that propagates the target's value back through the model, the part
            that reaches no input (biases and the like), `(instances,)`.
        details: Per instance the method's entries in `Explanation.details`; may be empty.
        matrices: Per instance the attention that the scores were computed from; may be empty.
        remedies: Per instance the advice of this method where its scores are incomplete, in its
            own parameters ("take more steps"); may be empty.
        warnings: Per instance further warnings; may be empty.
    """

    scores: Tensor
    baseline_values: Tensor | None = None
    details: Sequence[JsonDict] = field(default_factory=list)
    absorbed: Tensor | None = None
    matrices: Sequence[list[AttentionMatrix]] = field(default_factory=list)
    remedies: Sequence[str] = field(default_factory=list)
    warnings: Sequence[Sequence[str]] = field(default_factory=list)


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
        InterpretationError: If a score, or what the scores should add up to, is not finite.
    """
    scores = drop_padding(attribution.scores.detach().double().cpu(), space.layout.tokens)
    _check_finite(attribution, scores, interpreter["type"])
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
    described: JsonDict = {
        **target,
        **_explained_label(space, row),
        "value": float(space.values[row]),
    }
    if attribution.baseline_values is not None:
        described["baseline_value"] = float(attribution.baseline_values[row])
    delta = _delta(attribution, row, described, float(scores.sum()))
    return Explanation(
        interpreter=interpreter,
        target=described,
        inputs=inputs,
        convergence_delta=delta,
        details=dict(attribution.details[row]) if attribution.details else {},
        warnings=list(_warnings(space, attribution, row, described, delta, inputs)),
        matrices=list(attribution.matrices[row]) if attribution.matrices else [],
    )


def _delta(attribution: Attribution, row: int, target: JsonDict, total: float) -> float | None:
    """The difference between what the scores should add up to and their sum; None for methods that
    are not complete."""
    if attribution.absorbed is not None:
        return target["value"] - float(attribution.absorbed[row]) - total
    if "baseline_value" in target:
        return target["value"] - target["baseline_value"] - total
    return None


def _check_finite(attribution: Attribution, scores: Tensor, method: str) -> None:
    """Raises an error for numbers that are not finite, the cause first: scores are not finite where
    the value at the baseline is not."""
    value = _not_finite(attribution.baseline_values)
    if value is not None:
        raise InterpretationError(
            f"the target at the baseline is {value}, so the method {method!r} has nothing to "
            "compare with; name another baseline, such as 'mean' or 'pad'"
        )
    value = _not_finite(attribution.absorbed)
    if value is not None:
        raise InterpretationError(
            f"what the rules of the method {method!r} absorbed is {value}: the relevance goes "
            "through an operation that divides by nothing or multiplies by infinity; use "
            "'deeplift' or 'integrated-gradients'"
        )
    if _not_finite(scores) is not None:
        raise InterpretationError(
            f"the method {method!r} gave scores that are not finite; look for NaN or infinite "
            "weights, or gradients too large for the model's precision"
        )


def _not_finite(numbers: Tensor | None) -> float | None:
    """The first of some numbers that is not finite."""
    if numbers is None:
        return None
    wrong = numbers[~torch.isfinite(numbers)]
    return float(wrong[0]) if len(wrong) else None


def _warnings(
    space: EmbeddingSpace,
    attribution: Attribution,
    row: int,
    target: JsonDict,
    delta: float | None,
    inputs: Sequence[InputAttribution],
) -> Iterator[str]:
    found: list[str | None] = [*attribution.warnings[row]] if attribution.warnings else []
    remedy = attribution.remedies[row] if attribution.remedies else ""
    value = target["value"]
    if delta is not None:
        due = value - target.get("baseline_value", 0.0)
        what = "difference" if "baseline_value" in target else "value"
        found.append(incomplete(delta, due, what, remedy))
    with_text = _with_text(space, row)
    found += [zero(one, with_text) for one in inputs]
    found.append(RANDOM_WARNING if space.random else None)
    yield from (one for one in found if one is not None)


def _with_text(space: EmbeddingSpace, row: int) -> frozenset[str]:
    """The fields with tokens of their own, besides those that the tokenizer adds to every text."""
    own = ~space.layout.special[row]
    return frozenset(
        name
        for name in space.layout.names
        if bool(((space.layout.tokens_of(name)[row] >= 0) & own).any())
    )


def _explained_label(space: EmbeddingSpace, row: int) -> JsonDict:
    """The part of an instance's label that the target explains."""
    found = space.target.explained_label(_label(space, row))
    what = explained_by(space.instances[row])
    if found.get("label") is not None or what is None:
        return found
    # The label is not a single choice: leave out the keys of choices.
    of_choices = {key for choice in what.choices for key in choice}
    return {key: one for key, one in found.items() if key == "label" or key not in of_choices}


def _label(space: EmbeddingSpace, row: int) -> JsonDict:
    what = explained_by(space.instances[row])
    if what is None:
        return _carried_label(space, row)
    known = what.label or {}
    if what.choices and space.labels is not None:
        known = {**known, **what.choices[int(space.labels.indices[row])]}
    return known if "label" in known else {**_carried_label(space, row), **known}


def _carried_label(space: EmbeddingSpace, row: int) -> JsonDict:
    """The label in the fields of an instance."""
    instance = space.instances[row]
    if space.labels is None:
        return labelled_span(instance) or {"label": None}
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
    """The scores of a field's tokens over all calls that embedded it, and the sum of the scores of
    positions that belong to no token."""
    count = sum(len(item.text.tokens) for item in items)
    total, rest = scores.new_zeros(count), 0.0
    for number, call in enumerate(space.layout.calls):
        if name in call.names:
            own = scores[space.layout.positions_of(number)]
            tokens = call.tokens_of(name)[row]
            total += aggregation(own, tokens, count)
            rest += float(unassigned(own, tokens))
    return total, rest
