"""The model as a function of what a layer inside it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from allennlp.data import Instance
from torch import Tensor, nn

from .embedding_layers import find_inner_layer
from .embedding_space import EmbeddingSpace, Points
from .packing import TokenBudget
from .row_loss import RowLoss
from .targets import Target
from .twin import Twin

_SAME = 1e-5


class InnerSpace(EmbeddingSpace):
    """An `EmbeddingSpace` whose coordinates are the outputs of an inner layer.

    What a stack of blocks computes below the layer is replaced by the points anyway; where it
    serves for nothing else, which is tried out, it is left out.

    Args:
        twin: The predictor's twin.
        instances: Labelled instances to share a batch.
        target: The number to explain.
        budget: How many padded tokens go through the model at once.
        row_loss: How to take a batch's loss apart.
        layer: The layer by its dotted name.

    Raises:
        InterpretationError: If there is no such layer.
    """

    def __init__(
        self,
        twin: Twin,
        instances: Sequence[Instance],
        target: Target,
        budget: TokenBudget,
        row_loss: RowLoss,
        layer: str,
    ) -> None:
        self._below = blocks_below(twin.model, layer)
        self._skips: bool | None = None
        super().__init__(twin, instances, target, budget, row_loss, find_inner_layer(twin, layer))

    def evaluate(self, points: Points, rows: Tensor) -> Tensor:
        self._try_out()
        return super().evaluate(points, rows)

    def values_and_gradients(
        self, points: Points, rows: Tensor
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        self._try_out()
        return super().values_and_gradients(points, rows)

    def _try_out(self) -> None:
        """Whether the model returns the same without the blocks below, seen at one other point."""
        if self._skips is not None:
            return
        self._skips = False
        if not self._below:
            return
        row, point = self._own_rows[:1], self.embeddings[:1] / 2
        with torch.no_grad():
            expected = _numbers(self._run(row, point))
            self._skips = True
            try:
                found = _numbers(self._run(row, point))
            except Exception:
                found = {}
        same = expected.keys() == found.keys() and all(
            torch.allclose(found[name], one, rtol=_SAME, atol=_SAME, equal_nan=True)
            for name, one in expected.items()
        )
        self._skips = bool(expected) and same

    def _run(
        self,
        rows: Tensor,
        points: Tensor,
        listening: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Mapping[str, Any]:
        with _skipped(self._below if self._skips else []):
            return super()._run(rows, points, listening)


def blocks_below(model: nn.Module, name: str) -> list[nn.Module]:
    """The blocks of a stack that come before an inner layer, and the layer if it is one of them.

    Args:
        model: The model.
        name: The layer's dotted name.
    """
    path = name.split(".")
    for end in range(len(path) - 1, 0, -1):
        stack = dict(model.named_modules()).get(".".join(path[:end]))
        if isinstance(stack, nn.ModuleList) and path[end].isdecimal():
            count = int(path[end]) + (end == len(path) - 1)
            return list(stack)[:count]
    return []


@contextmanager
def _skipped(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Lets blocks return what they are given."""
    own = [vars(block).get("forward") for block in blocks]
    try:
        for block in blocks:
            block.forward = _through
        yield
    finally:
        for block, forward in zip(blocks, own, strict=True):
            if forward is None:
                vars(block).pop("forward", None)
            else:
                block.forward = forward


def _through(*args: Any, **kwargs: Any) -> Tensor:
    return next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))


def _numbers(outputs: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        name: value.double()
        for name, value in outputs.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
