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
from .layout import Layout
from .packing import out_of_memory


def run_at(
    twin: Twin,
    layout: Layout,
    collated: Mapping[str, Any],
    points: Tensor,
) -> Mapping[str, Any]:
    """The model's outputs for copies of instances with other embeddings.

    Args:
        twin: The private copy of the predictor.
        layout: The calls of the embedding layers.
        collated: The arguments of the model's `forward`.
        points: The embeddings, `(rows, size)`.

    Raises:
        InterpretationError: If the model calls its layers otherwise than for the instances.
    """
    replacing = _Replacement(layout, points)
    watching = twin.gradient_paths.watching() if points.requires_grad else nullcontext()
    layers = [call.layer for call in layout.calls]
    with watching, hooked(layers, replacing.layer):
        outputs = twin.model(**collated)
    replacing.finish()
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
    """Replaces the embeddings by given points, call by call as recorded."""

    def __init__(self, layout: Layout, points: Tensor) -> None:
        self._calls = layout.calls
        self._parts = layout.split(points)
        self._next = 0

    def layer(self, layer: EmbeddingLayer, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if self._next >= len(self._calls):
            raise InterpretationError(self._mismatch("more"))
        call, part = self._calls[self._next], self._parts[self._next]
        self._next += 1
        point = call.from_rows(part)
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
