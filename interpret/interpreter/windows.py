"""Texts that are longer than a model takes: explained by parts, told as a whole.

A model that can read a long text in parts has a method `in_parts`, which makes of a labelled
instance that is too long the `Parts` to explain in its place. To everything else a part is an
instance like any other: it shares batches, and every method explains it. Afterwards the scores
are put back where they belong in the whole text, and the mean over the parts is taken. So what is
explained is the mean of the target over the parts, F̄ = 1/W Σ_w F_w, and as every term of a
complete explanation is linear in it, Σ attributions + unassigned + convergence delta =
F̄(x) - F̄(x').
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum

from allennlp.data import Instance
from allennlp.data.tokenizers import Token
from allennlp.models import Model

from ..contracts import Part, Parts, ReadsParts
from ..explanation import Explanation, InputAttribution, JsonDict
from ..inputs.texts import text_items, token_spans


@dataclass(frozen=True)
class Whole:
    """A labelled instance, and what the model reads in its place if it is too long.

    Attributes:
        instance: The instance.
        cut: Its parts, None if the model takes it as it is.
    """

    instance: Instance
    cut: Parts | None = None

    @classmethod
    def of(cls, instance: Instance, model: Model) -> Whole:
        """The instance, in parts where the model says so.

        Raises:
            InterpretationError: If it is too long, and nobody said what to do then.
        """
        return cls(instance, model.in_parts(instance) if isinstance(model, ReadsParts) else None)

    @property
    def instances(self) -> list[Instance]:
        """The instances to explain."""
        if self.cut is None:
            return [self.instance]
        return [part.instance for part in self.cut.parts]

    def explanation(self, explained: Sequence[Explanation | Exception]) -> Explanation:
        """The explanation of the whole.

        Args:
            explained: What became of each of `instances`, in their order.

        Raises:
            Exception: The first that stands in the place of an explanation.
        """
        found: list[Explanation] = []
        for one in explained:
            if isinstance(one, Exception):
                raise one
            found.append(one)
        return found[0] if self.cut is None else _merged(self.instance, self.cut, found)


def _merged(whole: Instance, cut: Parts, explained: Sequence[Explanation]) -> Explanation:
    spread = [_spread(one, part, whole) for one, part in zip(explained, cut.parts, strict=True)]
    first = spread[0]
    inputs = [
        replace(
            one,
            attributions=[
                _mean(scores)
                for scores in zip(*(other.inputs[n].attributions for other in spread), strict=True)
            ],
            unassigned=_mean([other.inputs[n].unassigned for other in spread]),
        )
        for n, one in enumerate(first.inputs)
    ]
    numbers = {
        key: _mean([one.target[key] for one in spread])
        for key in ("value", "baseline_value")
        if all(key in one.target for one in spread)
    }
    deltas = [one.convergence_delta for one in spread if one.convergence_delta is not None]
    described = describe_parts(cut, whole)
    return replace(
        first,
        target={**first.target, **numbers},
        inputs=inputs,
        convergence_delta=_mean(deltas) if len(deltas) == len(spread) else None,
        details=_details([one.details for one in spread]),
        warnings=[*_unread(described), *_warnings([one.warnings for one in spread])],
        overlong=described,
        matrices=[matrix for one in spread for matrix in one.matrices],
    )


def describe_parts(cut: Parts, whole: Instance) -> JsonDict:
    """What was done with an instance that is too long: `policy`, `limit`, `tokens` (how many there
    are), `dropped` (how many of them are in no part), and `windows`: per part, by text, which
    tokens `[start, end)` it has."""
    names = dict.fromkeys(name for part in cut.parts for name in part.places)
    dropped = 0
    for name in names:
        count = len(_tokens(whole, name))
        read = [set(part.places.get(name, range(count))) for part in cut.parts]
        dropped += count - len(set().union(*read))
    return {
        "policy": cut.policy,
        "limit": cut.limit,
        "tokens": cut.length,
        "dropped": dropped,
        "windows": [{name: list(span) for name, span in part.spans.items()} for part in cut.parts],
    }


def _mean(numbers: Sequence[float]) -> float:
    return fsum(numbers) / len(numbers)


def _spread(explanation: Explanation, part: Part, whole: Instance) -> Explanation:
    """The explanation of a part, as one of the whole to which the other tokens add nothing."""
    inputs = [
        _over_all(one, part.places[one.field], _tokens(whole, one.field))
        if one.field in part.places
        else one
        for one in explanation.inputs
    ]
    target = explanation.target
    only = inputs[0].field if len(inputs) == 1 else ""
    places = part.places.get(target.get("field", only))
    if "positions" in target and places is not None:
        target = {**target, "positions": [places[place] for place in target["positions"]]}
    return replace(explanation, inputs=inputs, target=target)


def _over_all(
    one: InputAttribution, places: Sequence[int], tokens: Sequence[Token]
) -> InputAttribution:
    scores = [0.0] * len(tokens)
    for place, score in zip(places, one.attributions, strict=True):
        scores[place] = score
    return replace(
        one,
        tokens=[token.text or "" for token in tokens],
        offsets=token_spans(tokens),
        attributions=scores,
    )


def _tokens(whole: Instance, name: str) -> list[Token]:
    """The tokens of a text by the name that it has in explanations."""
    items = text_items(whole.fields[name.partition("[")[0]])
    return next(i.text.tokens for i in items if i.name(name.partition("[")[0]) == name)


def _details(each: Sequence[JsonDict]) -> JsonDict:
    """What a method reports of all parts: as of one where it is the same of all; a yes where it
    is yes of all; else in a list."""
    merged: JsonDict = {}
    for key in dict.fromkeys(key for one in each for key in one):
        values = [one.get(key) for one in each]
        if all(value == values[0] for value in values):
            merged[key] = values[0]
        elif all(isinstance(value, bool) for value in values):
            merged[key] = all(values)
        else:
            merged[key] = values
    return merged


def _unread(told: JsonDict) -> list[str]:
    if not told["dropped"]:
        return []
    return [
        f"{told['dropped']} of {told['tokens']} tokens were not read, as the model takes "
        f"{told['limit']} and overlong is {told['policy']!r}; their scores are 0"
    ]


def _warnings(each: Sequence[Sequence[str]]) -> list[str]:
    common = [one for one in each[0] if all(one in others for others in each)]
    return common + [
        f"window {number}: {one}"
        for number, warnings in enumerate(each)
        for one in warnings
        if one not in common
    ]
