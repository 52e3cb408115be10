"""Passes of the model: forwards with other vectors in the place of the embeddings, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from allennlp.models import Model
from torch import Tensor

from ..errors import InterpretationError
from ..model.embedding_layers import EmbeddingLayer
from ..model.hooks import hooked
from ..model.twin import Twin, name_of
from ..nested import tensors_in
from ..positions import PADDING
from .layout import EmbeddingCall, Layout
from .packing import out_of_memory


def run_at(
    twin: Twin,
    layout: Layout,
    collated: Mapping[str, Any],
    points: Tensor,
    rows: Tensor | None = None,
    derived: list[Tensor] | None = None,
) -> Mapping[str, Any]:
    """The model's outputs for copies of instances with other embeddings.

    Args:
        twin: The private copy of the predictor.
        layout: The calls of the embedding layers.
        collated: The arguments of the model's `forward`.
        points: The embeddings, `(rows, size)`.
        rows: The instance of each row, `(rows,)`; a model may leave out padding that none of them
            needs. None where it may not.
        derived: Its items become what the layers embed and is none of the tensors that the model
            is given.

    Raises:
        InterpretationError: If the model calls its layers otherwise than for the instances.
    """
    given = set() if derived is None else {one.data_ptr() for one in tensors_in(collated)}
    replacing = _Replacement(layout, points, rows, given)
    watching = twin.gradient_paths.watching() if points.requires_grad else nullcontext()
    layers = [call.layer for call in layout.calls]
    with watching, hooked(layers, replacing.layer):
        outputs = twin.model(**collated)
    replacing.finish()
    if derived is not None:
        derived[:] = replacing.derived
    return outputs


def differentiate(values: Tensor, leaves: Sequence[Tensor], model: Model) -> list[Tensor]:
    """The gradient of the sum of values with respect to each leaf, zero where it has no part.

    Raises:
        InterpretationError: If an operation cannot be differentiated.
    """
    try:
        return list(torch.autograd.grad(values.sum(), leaves, materialize_grads=True))
    except Exception as error:
        if out_of_memory(error) or isinstance(error, InterpretationError):
            raise
        raise InterpretationError(
            f"{name_of(model)} cannot be differentiated in evaluation mode "
            f"({type(error).__name__}: {error}); use a method that needs values only, such as "
            "'sequential-integrated-gradients' or 'value-zeroing'"
        ) from error


class _Replacement:
    """Replaces the embeddings by given points, call by call as recorded; `given` are the addresses
    of the model's arguments, empty where nobody asks what is derived from them."""

    def __init__(
        self, layout: Layout, points: Tensor, rows: Tensor | None, given: set[int]
    ) -> None:
        self._rows = rows
        self._calls = layout.calls
        self._parts = layout.split(points)
        self._next = 0
        self._given = given
        self.derived: list[Tensor] = []

    def layer(self, layer: EmbeddingLayer, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if self._next >= len(self._calls):
            raise InterpretationError(self._mismatch("more"))
        call, part = self._calls[self._next], self._parts[self._next]
        self._next += 1
        if self._given and args and isinstance(args[0], Tensor) and args[0].dim() == 2:
            self.derived += [] if args[0].data_ptr() in self._given else [args[0]]
        point = call.from_rows(part)
        if self._rows is not None and point.shape != output.shape:
            point = _without_padding(call, point, self._rows, output)
        if call.layer.module is not layer.module or point.shape != output.shape:
            raise InterpretationError(
                f"the embedding layer of {call.what} returned shape "
                f"{tuple(output.shape)} for copies of the instances, expected "
                f"{tuple(point.shape)}; the model must treat the rows of a batch alike"
            )
        # A copy: the next operation may work in place, which a view of a leaf does not allow.
        return point.to(call.dtype, copy=True)

    def finish(self) -> None:
        if self._next < len(self._calls):
            raise InterpretationError(self._mismatch("fewer"))

    def _mismatch(self, which: str) -> str:
        return (
            f"the model called its embedding layers {which} than {len(self._calls)} times, as it "
            "did for the input itself; its use of them must not depend on the embeddings"
        )


def _without_padding(call: EmbeddingCall, point: Tensor, rows: Tensor, output: Tensor) -> Tensor:
    """Points without the positions that the model leaves out for rows none of which needs them; as
    they are where these are no padding, or more than positions is missing.

    Args:
        call: The call for the instances.
        point: Points as that call returned them, `(rows, positions, dim)`, one row for each list
            item or segment of an instance.
        rows: The instance of each row.
        output: What the layer returned for the rows.
    """
    missing = point.shape[1] - output.shape[1] if output.dim() == point.dim() == 3 else 0
    if call.transposed or missing <= 0:
        return point
    padding = call.tokens[rows.cpu()].reshape(len(point), -1) == PADDING
    if bool(padding[:, -missing:].all()):
        return point[:, :-missing]
    return point[:, missing:] if bool(padding[:, :missing].all()) else point
