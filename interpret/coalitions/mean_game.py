"""The mean of several games of the same inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .game import Coalitions, Floats, Game, Integers


class MeanGame:
    """The mean of the target over several ways to replace what is removed.

    Args:
        games: A game for each, at least one; the inputs and their units are the same.
    """

    def __init__(self, games: Sequence[Game]) -> None:
        self._games = games

    @property
    def sizes(self) -> Sequence[int]:
        """See `Game`."""
        return self._games[0].sizes

    def values(self, masks: Coalitions, rows: Integers) -> Floats:
        """See `Game`."""
        found: Floats = np.mean([game.values(masks, rows) for game in self._games], axis=0)
        return found
