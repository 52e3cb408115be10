"""The backbone's outputs from the prediction of an input, for the pass that records it.

Before an input is explained the model predicts it, which gives the label, and then runs on it with
the label, which gives the embeddings and the target's value. The backbone, which does most of the
work, computes the same both times. For an input that is interpreted alone even its graph is kept,
so that a gradient at the input itself takes one forward and one backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from .embedding_layers import EmbeddingLayer, EmbeddingLayers
from .hooks import hooked, patched_forward

_MOST_BYTES = 2**28
_PLAIN = (int, float, str, type(None))


@dataclass(frozen=True)
class _CachedCall:
    """One call of the backbone for one input.

    Attributes:
        layers: The embedding layers that it called, each with its arguments.
        leaves: Their outputs; leaves of the graph where that is kept.
        outputs: The backbone's outputs, flattened.
        spec: The structure of the outputs.
    """

    layers: tuple[tuple[EmbeddingLayer, tuple[Any, ...]], ...]
    leaves: tuple[Tensor, ...]
    outputs: tuple[Any, ...]
    spec: TreeSpec

    @property
    def tensors(self) -> list[Tensor]:
        return [one for one in (*self.leaves, *self.outputs) if isinstance(one, Tensor)]

    @property
    def has_graph(self) -> bool:
        return all(leaf.requires_grad for leaf in self.leaves)

    def without_graph(self) -> _CachedCall:
        return replace(
            self,
            leaves=tuple(map(_detached, self.leaves)),
            outputs=tuple(map(_detached, self.outputs)),
        )

    def returned(self) -> Any:
        """A copy of the backbone's outputs, since the model may change them in place."""
        copies = [one.clone() if isinstance(one, Tensor) else one for one in self.outputs]
        return tree_unflatten(copies, self.spec)


class Recorder(Protocol):
    """The object that records the layers' calls that are served from the cache."""

    def embedder(self, inputs: Any) -> None:
        """Takes the argument of a module that embeds texts."""

    def note(
        self, layer: EmbeddingLayer, args: tuple[Any, ...], output: Any, leaf: Tensor | None
    ) -> Tensor:
        """Takes a layer's arguments, its output, and the leaf that replaces the output."""


class PredictionCache:
    """The calls of a twin's backbone while it predicted single inputs.

    The key of a call is its arguments, so an input that shares a batch, or is padded, is run again.

    Args:
        found: The backbone and the layers in it that are attributed to.
        most_bytes: The most memory to use, graphs not counted; the first calls are kept.
        graphs: The number of positions whose graphs are kept as well.

    Attributes:
        found: The argument.
        keeps_graphs: Whether any graphs are kept.
    """

    def __init__(
        self, found: EmbeddingLayers, most_bytes: int = _MOST_BYTES, graphs: int = 0
    ) -> None:
        self.found = found
        self._left = most_bytes
        self._graphs = graphs
        self.keeps_graphs = graphs > 0
        self._known: dict[Hashable, _CachedCall] = {}

    @property
    def modules(self) -> list[nn.Module]:
        """The modules whose outputs may be served without a graph."""
        return [] if self.found.backbone is None else [self.found.backbone]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Caches the backbone's outputs while the block runs."""
        if self.found.backbone is None:
            yield
            return

        def forward(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
            key = _key(args, options)
            if key is None:
                return original(*args, **options)
            layers: list[tuple[EmbeddingLayer, tuple[Any, ...]]] = []
            leaves: list[Any] = []

            def note(layer: EmbeddingLayer, given: tuple[Any, ...], output: Any) -> Any:
                layers.append((layer, given))
                leaves.append(None)
                if not isinstance(output, Tensor):
                    return output
                leaves[-1] = output.detach().clone().requires_grad_(self._keeps_graph(output))
                # A clone: what comes next may work in place, which a leaf does not allow.
                return leaves[-1].clone()

            # Without leaves that require a gradient there is no graph.
            with hooked(self.found.layers, note), torch.enable_grad():
                returned = original(*args, **options)
            outputs, spec = tree_flatten(returned)
            made = _CachedCall(tuple(layers), tuple(leaves), tuple(outputs), spec)
            try:
                copied = made.without_graph().returned()
            except TypeError:
                # The output type cannot be rebuilt from its parts.
                return returned
            if layers and all(_is_single(leaf) for leaf in leaves):
                self._remember(key, made)
            return copied

        with patched_forward(self.found.backbone, forward):
            yield

    @contextmanager
    def serving(self, recording: Recorder) -> Iterator[list[bool]]:
        """Serves the backbone's outputs from the cache; the layers' calls go to a recording.

        Yields:
            A list that is filled, for each call that was served, with whether it has a graph.
        """
        served: list[bool] = []
        if self.found.backbone is None:
            yield served
            return

        def forward(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
            key = _key(args, options) if self._known else None
            known = self._known.get(key)
            if known is None:
                return original(*args, **options)
            served.append(known.has_graph)
            embedders = set(map(id, self.found.embedders))
            for (layer, given), leaf in zip(known.layers, known.leaves, strict=True):
                if id(layer.module) in embedders and self.found.backbone is not layer.module:
                    recording.embedder(next(iter(given), None))
                recording.note(layer, given, leaf, leaf)
            # A graph takes one backward pass, and is gone.
            self._known[key] = known.without_graph()
            return known.returned()

        with patched_forward(self.found.backbone, forward):
            yield served

    def _keeps_graph(self, output: Tensor) -> bool:
        """Whether the graph of so many positions may still be kept."""
        self._graphs -= output.shape[:-1].numel()
        return self._graphs >= 0

    def _remember(self, key: Hashable, call: _CachedCall) -> None:
        self._left -= sum(tensor.nbytes for tensor in call.tensors)
        if self._left >= 0:
            self._known[key] = call


def _is_single(leaf: Any) -> bool:
    """Whether a layer returned the vectors of one input: no folded segments, no choices."""
    return isinstance(leaf, Tensor) and leaf.dim() > 2 and 1 in leaf.shape[:2]


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _key(args: tuple[Any, ...], options: dict[str, Any]) -> Hashable:
    """What a call is recognised by; None for one of several inputs, or with other arguments than
    tensors and plain values."""
    key: list[Hashable] = []
    given, spec = tree_flatten((args, dict(sorted(options.items()))))
    for value in given:
        if isinstance(value, Tensor):
            if not value.dim() or value.shape[0] != 1:
                return None
            key.append(_fingerprint(value))
        elif isinstance(value, _PLAIN):
            key.append(value)
        else:
            return None
    return str(spec), *key


def _fingerprint(tensor: Tensor) -> Hashable:
    """A tensor's type, shape and bytes."""
    flat = tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8)
    return tensor.dtype, tuple(tensor.shape), flat.numpy().tobytes()
