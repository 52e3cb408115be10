"""Games of units: which of an input's units stay, and what the target is then.

An estimator is a generator: it yields coalitions, `(rows, units)`, True for a unit that stays, is
sent the target's value at each, `(rows,)`, and returns a `UnitScores`. It knows no model, so a
function of sets serves as well as a language model, and `play` sends the coalitions of many inputs
to the model together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..explanation import JsonDict

Coalitions = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class UnitScores:
    """What an estimator found for one input.

    Attributes:
        scores: A score per unit, `(units,)`, in units of the target.
        standard_errors: The standard error of each, `(units,)`; None where the scores are exact.
        empty_value: The target with all units removed, for an estimator whose scores add up to the
            difference from it; else None.
        interactions: Pairs of units with a number, `(i, j, value)`, i < j.
        details: What else it reports.
        warnings: What a reader of the scores should know.
        zero_cause: Why scores are zero, where it is not that the target does not depend on the
            unit; else "".
    """

    scores: Floats
    standard_errors: Floats | None = None
    empty_value: float | None = None
    interactions: list[tuple[int, int, float]] = field(default_factory=list)
    details: JsonDict = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    zero_cause: str = ""


Estimator = Generator[Coalitions, Floats, UnitScores]

_Found = TypeVar("_Found")


class Game(Protocol):
    """The target as a function of the units that stay, for several inputs at once."""

    @property
    def sizes(self) -> Sequence[int]:
        """Units per input."""
        ...

    def values(self, masks: Coalitions, rows: Integers) -> Floats:
        """The target of masked inputs.

        Args:
            masks: Which units stay, `(rows, units)`; columns beyond an input's units mean nothing.
            rows: The input that each is a mask of, `(rows,)`.

        Returns:
            `(rows,)`.
        """
        ...


@dataclass(frozen=True)
class SetGame:
    """A game of one input whose values a function gives.

    Args:
        size: Units.
        function: Of coalitions `(rows, units)` their values, `(rows,)`.
    """

    size: int
    function: Callable[[Coalitions], Floats]

    @property
    def sizes(self) -> Sequence[int]:
        """Units per input."""
        return [self.size]

    def values(self, masks: Coalitions, rows: Integers) -> Floats:
        """See `Game`."""
        return np.asarray(self.function(masks), dtype=np.float64)


def play(game: Game, estimators: Sequence[Generator[Coalitions, Floats, _Found]]) -> list[_Found]:
    """Runs one estimator per input; what they ask for in the same round is computed together, a
    coalition that one asks for twice once.

    Args:
        game: The inputs.
        estimators: One per input, in the game's order.

    Returns:
        What each returned.
    """
    done: dict[int, _Found] = {}
    asked: dict[int, tuple[Coalitions, Integers]] = {}

    def resume(number: int, values: Floats | None) -> None:
        estimator = estimators[number]
        try:
            masks = next(estimator) if values is None else estimator.send(values)
            asked[number] = _once(np.atleast_2d(masks.astype(bool)))
        except StopIteration as end:
            done[number] = end.value

    for number in range(len(estimators)):
        resume(number, None)
    while asked:
        several = [masks for masks, _ in asked.values()]
        rows = np.repeat(np.array([*asked], dtype=np.int64), [len(masks) for masks in several])
        values = game.values(_side_by_side(several), rows)
        ends = np.cumsum([len(masks) for masks in several])[:-1]
        found = zip(asked.items(), np.split(values, ends), strict=True)
        parts = {number: part[places] for (number, (_, places)), part in found}
        asked = {}
        for number, part in parts.items():
            resume(number, part)
    return [done[number] for number in range(len(estimators))]


def _once(masks: Coalitions) -> tuple[Coalitions, Integers]:
    """The different ones of some coalitions, in order, and which of these each is, `(rows,)`."""
    numbers: dict[bytes, int] = {}
    places = [numbers.setdefault(mask.tobytes(), len(numbers)) for mask in masks]
    first = np.unique(np.array(places, dtype=np.int64), return_index=True)[1]
    return masks[first], np.array(places, dtype=np.int64)


def _side_by_side(several: Sequence[Coalitions]) -> Coalitions:
    """Coalitions of inputs with different numbers of units as one array."""
    width = max(masks.shape[1] for masks in several)
    return np.concatenate(
        [
            np.pad(masks, ((0, 0), (0, width - masks.shape[1])), constant_values=True)
            for masks in several
        ]
    )


def everything(units: int) -> Coalitions:
    """All units stay, `(1, units)`."""
    return np.ones((1, units), dtype=bool)


def nothing(units: int) -> Coalitions:
    """No unit stays, `(1, units)`."""
    return np.zeros((1, units), dtype=bool)
