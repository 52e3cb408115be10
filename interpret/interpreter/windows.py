"""Texts that are longer than a model takes: explained by window, then merged.

A model that can read a long text in windows has a method `windows_of`, which returns for a labelled
instance that is too long the `Windows` to explain in its place. To everything else a window is an
instance like any other: it shares batches, and every method explains it. Afterwards the scores of
each window are placed at their tokens of the complete text, and the mean over the windows is taken.
So what is explained is the mean of the target over the windows, F̄ = 1/W Σ_w F_w, and as every term
of a complete explanation is linear in it, Σ attributions + unassigned + convergence delta =
F̄(x) - F̄(x').
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import fsum
from typing import Any

from allennlp.data import Instance
from allennlp.data.tokenizers import Token

from ..contracts import Window, Windows
from ..explanation import Explanation, Interaction, JsonDict
from ..inputs.texts import text_items, token_spans


def merge_windows(whole: Instance, cut: Windows, explained: Sequence[Explanation]) -> Explanation:
    """The mean of the windows' explanations, as one explanation of the complete instance."""
    spread = [
        _spread(one, window, whole) for one, window in zip(explained, cut.windows, strict=True)
    ]
    first = spread[0]
    inputs = [
        replace(
            one,
            attributions=_means([other.inputs[n].attributions for other in spread]),
            # No less than the error of the mean, however the windows' errors go together.
            standard_errors=_means([other.inputs[n].standard_errors for other in spread]),
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
    described = describe_windows(cut, whole)
    return replace(
        first,
        target={**first.target, **numbers},
        inputs=inputs,
        convergence_delta=_mean(deltas) if len(deltas) == len(spread) else None,
        details=_details([one.details for one in spread]),
        warnings=_warnings([one.warnings for one in spread], described),
        overlong=described,
        matrices=[matrix for one in spread for matrix in one.matrices],
        interactions=_interactions([one.interactions for one in spread]),
    )


def _means(several: Sequence[Any]) -> Any:
    """The means of lists of numbers, number by number; None where a list is missing."""
    if any(one is None for one in several):
        return None
    return [_mean(numbers) for numbers in zip(*several, strict=True)]


def _interactions(each: Sequence[Sequence[Interaction]]) -> list[Interaction]:
    """The mean over the windows of each pair of tokens, 0 in a window that has not both."""
    sums: dict[tuple[tuple[str, int], tuple[str, int]], list[float]] = {}
    for own in each:
        for one in own:
            sums.setdefault((one.first, one.second), []).append(one.value)
    return [Interaction(*pair, fsum(values) / len(each)) for pair, values in sums.items()]


def describe_windows(cut: Windows, whole: Instance) -> JsonDict:
    """What was done with an instance that is too long: `policy`, `limit`, `tokens` (how many there
    are), `dropped` (how many of them are in no window), and `windows`: per window, by text, which
    tokens `[start, end)` it has."""
    names = dict.fromkeys(name for window in cut.windows for name in window.places)
    dropped = 0
    for name in names:
        count = len(_tokens(whole, name))
        read = [set(window.places.get(name, range(count))) for window in cut.windows]
        dropped += count - len(set().union(*read))
    return {
        "policy": cut.policy,
        "limit": cut.limit,
        "tokens": cut.length,
        "dropped": dropped,
        "windows": [
            {name: list(span) for name, span in window.spans.items()} for window in cut.windows
        ],
    }


def _mean(numbers: Sequence[float]) -> float:
    return fsum(numbers) / len(numbers)


def _spread(explanation: Explanation, window: Window, whole: Instance) -> Explanation:
    """The explanation of a window, with zeros for the tokens that are not in it."""
    inputs = []
    for one in explanation.inputs:
        if one.field in window.places:
            tokens = _tokens(whole, one.field)
            own, errors = window.places[one.field], one.standard_errors
            one = replace(
                one,
                tokens=[token.text or "" for token in tokens],
                offsets=token_spans(tokens),
                attributions=_placed(one.attributions, own, len(tokens)),
                standard_errors=errors and _placed(errors, own, len(tokens)),
            )
        inputs.append(one)
    target = explanation.target
    only = inputs[0].field if len(inputs) == 1 else ""
    places = window.places.get(target.get("field", only))
    if "positions" in target and places is not None:
        target = {**target, "positions": [places[place] for place in target["positions"]]}
    pairs = [
        replace(one, first=_moved(one.first, window), second=_moved(one.second, window))
        for one in explanation.interactions
    ]
    return replace(explanation, inputs=inputs, target=target, interactions=pairs)


def _placed(numbers: Sequence[float], places: Sequence[int], count: int) -> list[float]:
    """A window's numbers at their tokens of the complete text, and zeros for the others."""
    known = dict(zip(places, numbers, strict=True))
    return [known.get(place, 0.0) for place in range(count)]


def _moved(token: tuple[str, int], window: Window) -> tuple[str, int]:
    """A token of a window as one of the complete text."""
    field, number = token
    return field, window.places[field][number] if field in window.places else number


def _tokens(whole: Instance, name: str) -> list[Token]:
    """The tokens of a text by the name that it has in explanations."""
    items = text_items(whole.fields[name.partition("[")[0]])
    return next(i.text.tokens for i in items if i.name(name.partition("[")[0]) == name)


def _details(each: Sequence[JsonDict]) -> JsonDict:
    """The details of all windows, key by key: the value where it is the same for all; of booleans
    whether all are true; else a list of the values."""
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


def _warnings(each: Sequence[Sequence[str]], described: JsonDict) -> list[str]:
    unread = (
        f"{described['dropped']} of {described['tokens']} tokens were not read, as the model takes "
        f"{described['limit']} and overlong is {described['policy']!r}; their scores are 0"
    )
    common = [one for one in each[0] if all(one in others for others in each)]
    numbered = [(number, one) for number, warnings in enumerate(each) for one in warnings]
    own = [f"window {number}: {one}" for number, one in numbered if one not in common]
    return [*([unread] if described["dropped"] else []), *common, *own]
