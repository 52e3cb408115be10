"""What is to be said of a zero baseline where a model normalises right after its embedding."""

from __future__ import annotations

import torch

from ...errors import InterpretationError
from ...space.baselines import Baseline, ZeroBaseline
from ...space.embedding_space import EmbeddingSpace
from .first_norm import FirstNorm, normalises_first

_CAUSE = "the model normalises right after its embedding, so its gradient at the zero baseline "
_WAY_OUT = "name the baseline 'mean' or 'pad'"


class ZeroPoint:
    """The zero baseline among those of a method, if it is one of them.

    Args:
        baseline: The method's baseline.
    """

    def __init__(self, baseline: Baseline) -> None:
        members = baseline.members()
        self._baseline = next((one for one in members if isinstance(one, ZeroBaseline)), None)
        # How the model is built, so the same for all inputs; None until it was looked at.
        self._known: bool | None = None

    def explain_overflow(self, space: EmbeddingSpace) -> None:
        """Raises the true cause of scores that are not finite, if the zero baseline is it.

        Args:
            space: The instances.

        Raises:
            InterpretationError: If the model divides by next to nothing there.
        """
        if self._normalises_first(space):
            raise InterpretationError(f"{_CAUSE}overflows; {_WAY_OUT}")

    def warning(self, space: EmbeddingSpace) -> list[str]:
        """The same for scores that are finite, but not to be trusted; empty for nothing.

        Args:
            space: The instances.
        """
        if not self._normalises_first(space):
            return []
        return [f"{_CAUSE}is so large that the attributions are noise; {_WAY_OUT}"]

    def _normalises_first(self, space: EmbeddingSpace) -> bool:
        if self._baseline is None:
            return False
        if self._known is None:
            first = space.at_input_embeddings()
            row = torch.zeros(1, dtype=torch.long)
            watches = []
            for points in (self._baseline(first), first.embeddings):
                watch = FirstNorm()
                with watch:
                    first.evaluate(points[:1], row)
                watches.append(watch)
            self._known = normalises_first(*watches)
        return self._known
