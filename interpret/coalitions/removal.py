"""How units of an input are removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from allennlp.common import Registrable
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from ..explanation import JsonDict
from ..registry import construct
from ..space.baselines import Baseline
from ..space.embedding_space import EmbeddingSpace
from .deletion_game import DeletionGame, WrittenInstance
from .embedding_game import EmbeddingGame
from .game import Game
from .mean_game import MeanGame
from .units import Units


class Removal(Registrable):
    """What an input is without some of its units."""

    def removable(self, space: EmbeddingSpace) -> Tensor:
        """The positions that may be removed, `(instances, positions)`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement removable()")

    def game(
        self, space: EmbeddingSpace, units: Sequence[Units], instances: Sequence[int] | None = None
    ) -> Game:
        """The target as a function of the units that stay.

        Args:
            space: The instances.
            units: The units of each player.
            instances: The instance of each player; None for one player per instance.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement game()")

    def members(self) -> Sequence[Removal]:
        """The removals of which a method takes the mean."""
        return [self]


@Removal.register("baseline")
class BaselineRemoval(Removal):
    """A removed unit has the vectors of a baseline, and the text its length.

    Args:
        baseline: The baseline: an object, a name, a params dict, or a list of such.

    Raises:
        ConfigurationError: If there is no such baseline.
    """

    example: ClassVar[JsonDict] = {"baseline": "mask"}

    def __init__(self, baseline: Any) -> None:
        self.baseline: Baseline = construct(Baseline, baseline)

    def removable(self, space: EmbeddingSpace) -> Tensor:
        return self.baseline.replaceable(space)

    def game(
        self, space: EmbeddingSpace, units: Sequence[Units], instances: Sequence[int] | None = None
    ) -> Game:
        games = [
            EmbeddingGame(space, units, one(space), instances) for one in self.baseline.draws()
        ]
        return games[0] if len(games) == 1 else MeanGame(games)

    def members(self) -> Sequence[Removal]:
        return [BaselineRemoval(one) for one in self.baseline.replacements()]


@Removal.register("delete")
class Deletion(Removal):
    """A removed unit is deleted from the text, which is tokenised again.

    The model sees a text as one might write it, and not one with holes. It needs the input's JSON,
    a text that the model reads at once, and a label that belongs to the text and not to its tokens.
    """

    def removable(self, space: EmbeddingSpace) -> Tensor:
        rows = range(len(space.instances))
        written = [WrittenInstance(space, row).removable() for row in rows]
        return torch.stack(written) & space.layout.present & ~space.layout.special

    def game(
        self, space: EmbeddingSpace, units: Sequence[Units], instances: Sequence[int] | None = None
    ) -> Game:
        return DeletionGame(space, units, instances)


def removal_of(given: Any, parameter: str = "removal") -> Removal:
    """A removal from what it was given as.

    Args:
        given: A removal, its name or its params (`"delete"`), or a baseline, its name or its params
            (`"mask"`), or a list of baselines.
        parameter: What it was given for.

    Raises:
        ConfigurationError: If there is neither a removal nor a baseline of that name.
    """
    if isinstance(given, Removal):
        return given
    name = given.get("type") if isinstance(given, dict) else given
    if isinstance(name, str) and name in Removal.list_available():
        return construct(Removal, given)
    if isinstance(name, str) and name not in Baseline.list_available():
        known = ", ".join(sorted({*Removal.list_available(), *Baseline.list_available()}))
        raise ConfigurationError(f"{parameter!r}: there is no {name!r}; there are {known}")
    return BaselineRemoval(construct(Baseline, given, parameter))
