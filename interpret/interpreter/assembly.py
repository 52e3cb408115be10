"""Explanations from scores per position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import InterpretationError
from ..explanation import (
    AttentionMatrix,
    Explanation,
    InputAttribution,
    Interaction,
    JsonDict,
)
from ..inputs.explained import Explained, explained_by
from ..inputs.labels import among_texts, labelled_span, labelled_token
from ..inputs.texts import TextItem, text_items, token_spans
from ..model.model_checks import RANDOM_WARNING
from ..reduction import Aggregation, drop_padding, unassigned
from ..space.embedding_space import EmbeddingSpace
from .explanation_warnings import incomplete, overflow, zero
from .unread import unread


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
        zero_causes: Per instance why the scores of a field are zero where all of them are, and it
            is not that the target does not depend on it ("none reaches the threshold"); may be
            empty, and so may each.
        standard_errors: The standard error of each score, `(instances, positions)`; None for a
            method that draws no samples. Those of a token's positions are added up as scores are,
            which is exact where the positions share one score, and else an upper bound.
        interactions: Per instance pairs of tokens with a number; may be empty.
    """

    scores: Tensor
    baseline_values: Tensor | None = None
    details: Sequence[JsonDict] = field(default_factory=list)
    absorbed: Tensor | None = None
    matrices: Sequence[list[AttentionMatrix]] = field(default_factory=list)
    remedies: Sequence[str] = field(default_factory=list)
    warnings: Sequence[Sequence[str]] = field(default_factory=list)
    zero_causes: Sequence[str] = field(default_factory=list)
    standard_errors: Tensor | None = None
    interactions: Sequence[list[Interaction]] = field(default_factory=list)


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
        InterpretationError: If the method returned no `Attribution` or scores of another shape, or
            if a score, or what the scores should add up to, is not finite.
    """
    _check_returned(attribution, tuple(space.layout.tokens.shape), interpreter["type"])
    scores = drop_padding(attribution.scores.detach().double().cpu(), space.layout.tokens)
    _check_finite(attribution, scores, interpreter["type"], space.rounding)
    rows = [_Row(space, attribution, scores, row) for row in range(len(space.instances))]
    return [row.explanation(interpreter, target, aggregation) for row in rows]


@dataclass(frozen=True)
class _Row:
    """An instance of a space, by its row."""

    space: EmbeddingSpace
    attribution: Attribution
    scores: Tensor
    row: int

    def explanation(
        self, interpreter: JsonDict, target: JsonDict, aggregation: Aggregation
    ) -> Explanation:
        given, row = self.attribution, self.row
        inputs = list(self._inputs(aggregation))
        described: JsonDict = {
            **target,
            **self._explained_label(),
            "value": float(self.space.values[row]),
        }
        due = described["value"]
        if given.baseline_values is not None:
            described["baseline_value"] = float(given.baseline_values[row])
            due -= described["baseline_value"]
        delta = None
        if given.absorbed is not None:
            delta = described["value"] - float(given.absorbed[row]) - float(self.scores[row].sum())
        elif given.baseline_values is not None:
            delta = due - float(self.scores[row].sum())
        warnings = [*given.warnings[row]] if given.warnings else []
        return Explanation(
            interpreter=interpreter,
            target=described,
            inputs=inputs,
            convergence_delta=delta,
            details=dict(given.details[row]) if given.details else {},
            warnings=[*warnings, *self._warnings(delta, due, inputs)],
            matrices=list(given.matrices[row]) if given.matrices else [],
            interactions=list(given.interactions[row]) if given.interactions else [],
        )

    def _warnings(
        self, delta: float | None, due: float, inputs: Sequence[InputAttribution]
    ) -> Iterator[str]:
        given, layout = self.attribution, self.space.layout
        # Besides the tokens that the tokenizer adds to every text.
        own = ~layout.special[self.row]
        with_text = frozenset(
            name
            for name in layout.names
            if bool(((layout.tokens_of(name)[self.row] >= 0) & own).any())
        )
        cause = given.zero_causes[self.row] if given.zero_causes else ""
        found = [zero(one, with_text, cause) for one in inputs]
        if delta is not None:
            remedy = given.remedies[self.row] if given.remedies else ""
            what = "value" if given.baseline_values is None else "difference"
            found.insert(0, incomplete(delta, due, what, remedy, self.space.rounding))
        if self.space.random:
            found.append(RANDOM_WARNING)
        yield from (one for one in found if one is not None)
        yield from unread(self.space, self.row)

    def _explained_label(self) -> JsonDict:
        """The part of the instance's label that the target explains."""
        what = explained_by(self.space.instances[self.row])
        found = self.space.target.explained_label(self._label(what))
        if found.get("label") is not None or what is None:
            return found
        # The label is not a single choice: leave out the keys of choices.
        of_choices = {key for choice in what.choices for key in choice}
        return {key: one for key, one in found.items() if key == "label" or key not in of_choices}

    def _label(self, what: Explained | None) -> JsonDict:
        known = {} if what is None or what.label is None else what.label
        labels, instance = self.space.labels, self.space.instances[self.row]
        if what is not None and what.choices and labels is not None:
            known = {**known, **what.choices[int(labels.indices[self.row])]}
        if "label" in known:
            return known
        if labels is None:
            return {**(labelled_span(instance) or {"label": None}), **known}
        label: dict[str, Any] = {"label": labels.name(self.row)}
        positions = labels.positions(self.row)
        if positions is None:
            return {**label, **labelled_token(instance), **known}
        tags: Any = instance.fields.get(labels.field)
        found = among_texts(instance, tags.sequence_field)
        return {**label, "positions": positions, **found, **known}

    def _inputs(self, aggregation: Aggregation) -> Iterator[InputAttribution]:
        count = 0
        for name in reversed(self.space.layout.names):
            items = text_items(self.space.instances[self.row].fields[name])
            by_token, rest = self._by_token(self.scores[self.row], name, items, aggregation)
            errors = self._errors(name, items, aggregation)
            for number, item in enumerate(items):
                tokens, count = item.text.tokens, count + 1
                own = slice(item.first_token, item.first_token + len(tokens))
                yield InputAttribution(
                    field=item.name(name),
                    grad_input=f"grad_input_{count}",
                    tokens=[token.text or "" for token in tokens],
                    offsets=token_spans(tokens),
                    attributions=by_token[own].tolist(),
                    unassigned=rest if number == 0 else 0.0,
                    standard_errors=None if errors is None else errors[own].tolist(),
                )

    def _errors(
        self, name: str, items: Sequence[TextItem], aggregation: Aggregation
    ) -> Tensor | None:
        """The standard errors of the scores of a field's tokens, where the method knows them."""
        given = self.attribution.standard_errors
        if given is None or not torch.isfinite(given[self.row]).all():
            return None
        return self._by_token(given[self.row].double(), name, items, aggregation)[0]

    def _by_token(
        self, scores: Tensor, name: str, items: Sequence[TextItem], aggregation: Aggregation
    ) -> tuple[Tensor, float]:
        """The scores of a field's tokens over all calls that embedded it, and the sum of the scores
        of positions that belong to no token."""
        layout = self.space.layout
        count = sum(len(item.text.tokens) for item in items)
        total, rest = scores.new_zeros(count), 0.0
        for number, call in enumerate(layout.calls):
            if name in call.names:
                own = scores[layout.positions_of(number)]
                tokens = call.tokens_of(name)[self.row]
                total += aggregation(own, tokens, count)
                rest += float(unassigned(own, tokens))
        return total, rest


def _check_returned(attribution: Any, shape: tuple[int, ...], method: str) -> None:
    """Raises an error for what no explanation can be made of: an `attribute` is often somebody's
    first, and what it returned is named where it was returned."""
    if not isinstance(attribution, Attribution):
        raise InterpretationError(
            f"attribute() of the method {method!r} returned a {type(attribution).__name__}; "
            "return Attribution(scores)"
        )
    found = tuple(attribution.scores.shape)
    if found != shape:
        raise InterpretationError(
            f"attribute() of the method {method!r} returned scores of shape {found}, and there are "
            f"{shape}: instances, and positions of each. Of a number per coordinate make one per "
            "position: reduce_coordinates(numbers, space.layout, Sum())"
        )


def _check_finite(attribution: Attribution, scores: Tensor, method: str, rounding: float) -> None:
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
            f"the method {method!r} gave scores that are not finite; {overflow(rounding)}"
        )


def _not_finite(numbers: Tensor | None) -> float | None:
    """The first of some numbers that is not finite."""
    if numbers is None:
        return None
    wrong = numbers[~torch.isfinite(numbers)]
    return float(wrong[0]) if len(wrong) else None
