"""The model as a game: the target of inputs some of whose units are replaced by a baseline."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..contracts import sharing_prefixes
from ..space.embedding_space import EmbeddingSpace
from .game import Coalitions, Floats, Integers
from .units import Units


class EmbeddingGame:
    """F(x ⊙ m): the target of an input whose missing units have the vectors of a baseline.

    Args:
        space: The instances.
        units: The units of each player.
        baseline: What takes the place of a unit, `(instances, size)`.
        instances: The instance of each player; None for one player per instance.
    """

    def __init__(
        self,
        space: EmbeddingSpace,
        units: Sequence[Units],
        baseline: Tensor,
        instances: Sequence[int] | None = None,
    ) -> None:
        self._space = space
        self._baseline = baseline
        self._sharing = sharing_prefixes(space.model)
        self._units = units
        self._instances = torch.tensor(range(len(units)) if instances is None else instances)
        # Whether a position is one of a unit's, (instances, units, positions).
        self._owned = pad_sequence([own.positions for own in units], batch_first=True).to(baseline)

    @property
    def sizes(self) -> Sequence[int]:
        """Units per player."""
        return [len(own) for own in self._units]

    def values(self, masks: Coalitions, rows: Integers) -> Floats:
        """See `Game`; all masked copies of all instances are packed together."""
        x, players = self._space.embeddings, torch.from_numpy(rows)
        owners = self._instances[players]
        absent = torch.from_numpy(~masks)

        def points(numbers: Tensor) -> Tensor:
            row = owners[numbers].to(x.device)
            gone = absent[numbers].to(x)
            owned = self._owned[players[numbers].to(x.device), : gone.shape[1]]
            removed = torch.einsum("ru,rup->rp", gone, owned) > 0
            return torch.where(self._space.layout.expand(removed), self._baseline[row], x[row])

        with self._sharing:
            values: Floats = self._space.evaluate(points, owners).numpy()
        return values
