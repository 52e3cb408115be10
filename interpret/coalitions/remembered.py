"""A game that computes each coalition once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .game import Coalitions, Floats, Game, Integers


class Remembered:
    """A game whose values are kept, so that estimators may ask for the same coalitions.

    Args:
        game: The game.
        same: Per player which input it is a player of: players of one input have the same units.
    """

    def __init__(self, game: Game, same: Sequence[int]) -> None:
        self._game = game
        self._same = same
        self._known: dict[tuple[int, bytes], float] = {}

    @property
    def sizes(self) -> Sequence[int]:
        """See `Game`."""
        return self._game.sizes

    @property
    def evaluations(self) -> int:
        """How many values were computed."""
        return len(self._known)

    def values(self, masks: Coalitions, rows: Integers) -> Floats:
        """See `Game`."""
        sizes = self._game.sizes
        keys = [
            (self._same[row], np.packbits(mask[: sizes[row]]).tobytes())
            for mask, row in zip(masks, rows.tolist(), strict=True)
        ]
        unknown = {key: number for number, key in enumerate(keys) if key not in self._known}
        if unknown:
            numbers = list(unknown.values())
            found = self._game.values(masks[numbers], rows[numbers])
            self._known.update(zip(unknown, found.tolist(), strict=True))
        return np.array([self._known[key] for key in keys])
