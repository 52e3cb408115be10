"""The model as a function of the outputs of a layer inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from typing import Any

import torch
from allennlp.data import Instance
from torch import Tensor, nn

from ...errors import InterpretationError
from ...model.embedding_layers import EmbeddingLayer, find_inner_layer, inner_layer_name
from ...model.hooks import hooked, patched_forward
from ...target.prediction_check import floats
from ...target.row_loss import RowLoss
from ..embedding_space import EmbeddingSpace
from ..packing import Chunk
from ..session import Session

_SAME = 1e-5


class LayerSpace(EmbeddingSpace):
    """An `EmbeddingSpace` whose coordinates are the outputs of an inner layer.

    The points replace the output of the layer, so the blocks below it need not run, unless the
    model uses their outputs elsewhere. A trial run finds that out.

    Args:
        session: The predictor's private copy, the target and the budget.
        instances: Labelled instances to share a batch.
        row_loss: How to get the rows' losses from a batch's loss; see `RowLoss`.
        layer: The layer by its name or number, as `find_inner_layer` takes it.

    Raises:
        InterpretationError: If no layer has that name.
    """

    def __init__(
        self,
        session: Session,
        instances: Sequence[Instance],
        row_loss: RowLoss,
        layer: str | int,
    ) -> None:
        self._name = inner_layer_name(session.twin.model, layer)
        self._below = blocks_below(session.twin.model, self._name)
        self._tried_out = False
        # Replaces the forward of the blocks below where they are skipped; None where they run.
        self._replacement: Callable[..., Any] | None = None
        super().__init__(session, instances, row_loss, find_inner_layer(session.twin, layer))

    def batches(self, rows: Tensor) -> Iterator[Chunk]:
        # Not within a pass, which a method may watch.
        self._try_out()
        return super().batches(rows)

    def at_input_embeddings(self) -> EmbeddingSpace:
        return self._at_input_embeddings

    @cached_property
    def _at_input_embeddings(self) -> EmbeddingSpace:
        return EmbeddingSpace(self.session, self.instances, self._row_loss)

    def states_at(self, embeddings: Tensor) -> Tensor:
        calls, first = self.layout.calls, self._at_input_embeddings
        modules = {id(call.layer.module) for call in calls}
        pairs = zip(first.layout.calls, first.layout.split(embeddings), strict=True)
        # The layer may be one of the embedding layers itself.
        parts = [part for call, part in pairs if id(call.layer.module) in modules]

        def collect(layer: EmbeddingLayer, args: tuple[Any, ...], output: Tensor) -> Tensor:
            parts.append(calls[len(parts)].to_rows(output.detach().clone()))
            if len(parts) == len(calls):
                raise _StopForward
            return output

        if not parts:
            # The rest of the forward pass is not needed.
            layers = [call.layer for call in calls]
            with torch.no_grad(), suppress(_StopForward), hooked(layers, collect):
                first._run(self._own_rows, embeddings)
        return self.layout.join(parts).to(self.embeddings.dtype)

    def _check_differentiable(self, values: Tensor) -> None:
        self._twin.gradient_paths.check()
        if not values.requires_grad:
            raise InterpretationError(
                f"target {type(self._target).__name__} does not depend on what the layer "
                f"{self._name!r} returns (the first of its outputs, if there are several): the "
                "model reads something else, or runs without gradients; name a layer before that"
            )

    def _try_out(self) -> None:
        """Finds out whether the model returns the same outputs without the blocks below."""
        if self._tried_out:
            return
        self._tried_out = True
        # Blocks return their states, or as in transformers 4 a tuple that begins with them.
        ways = (_through, lambda *args, **kwargs: (_through(*args, **kwargs),))
        for result in ways if self._below else ():
            self._replacement = result
            if self._returns_the_same():
                return
        self._replacement = None

    def _returns_the_same(self) -> bool:
        expected = self._outputs
        try:
            with torch.no_grad():
                found = floats(self._run(self._own_rows, self.embeddings))
        except Exception:
            # Any error may come from skipping the blocks. No error is hidden: the blocks run from
            # now on, and an error with another cause comes up again in that pass.
            return False
        return (
            bool(expected)
            and expected.keys() == found.keys()
            and all(_alike(found[name], one) for name, one in expected.items())
        )

    def _run(self, rows: Tensor, points: Tensor) -> Mapping[str, Any]:
        with ExitStack() as left_out:
            if self._replacement is not None:
                for block in self._below:
                    left_out.enter_context(patched_forward(block, self._replacement))
            return super()._run(rows, points)


class _StopForward(Exception):
    """Ends a forward pass whose remaining layers are not needed."""


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


def _through(*args: Any, **kwargs: Any) -> Tensor:
    """Returns the states that a block is given."""
    return next(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))


def _alike(left: Tensor, right: Tensor) -> bool:
    tolerance = _SAME * float(right.abs().max()) if right.numel() else 0.0
    return left.shape == right.shape and bool(((left - right).abs() <= tolerance).all())
