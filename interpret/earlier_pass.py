"""What the text field embedder made of an input when it was predicted, for when it is recorded.

Before an input is explained the model predicts it, which gives the label, and then runs on it with
the label, which gives the embeddings and the target's value. The embedder, mostly all of the work,
does the same both times; so the second time it is spared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .embedding_layers import EmbeddingLayer, EmbeddingLayers
from .interventions import Recording, hooked

_MOST_BYTES = 2**28
_PLAIN = (int, str, type(None))


@dataclass(frozen=True)
class _Embedded:
    """One call of the embedder for one input: the layers that it called, and its output."""

    layers: tuple[EmbeddingLayer, ...]
    outputs: tuple[Tensor, ...]
    output: Tensor


class EarlierPass:
    """The calls of a twin's text field embedder while it predicted.

    A call is known again by its tensors, so padded inputs, whose tensors are longer, are not.

    Args:
        found: The embedder and the layers in it that are attributed to.
        most_bytes: Memory to fill at most; what came first is kept.

    Attributes:
        served: How many calls were spared.
    """

    def __init__(self, found: EmbeddingLayers, most_bytes: int = _MOST_BYTES) -> None:
        self.found = found
        self.served = 0
        self._left = most_bytes
        self._known: dict[Any, _Embedded] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes note of what the embedder does."""

        def forward(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
            calls: list[tuple[EmbeddingLayer, Any]] = []

            def note(layer: EmbeddingLayer, given: tuple[Any, ...], output: Any) -> Any:
                calls.append((layer, output.clone() if isinstance(output, Tensor) else None))
                return output

            with hooked(self.found.layers, note):
                output = original(*args, **options)
            self._remember(_rows(args, options), calls, output)
            return output

        with self._instead(forward):
            yield

    @contextmanager
    def serving(self, recording: Recording) -> Iterator[None]:
        """Gives the embedder's output where it is known, and tells a recording of the layers."""

        def forward(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
            known = [self._known.get(row) for row in _rows(args, options)]
            rows = [row for row in known if row is not None]
            if not rows or len(rows) < len(known) or len({row.layers for row in rows}) > 1:
                return original(*args, **options)
            self.served += 1
            outputs = zip(*(row.outputs for row in rows), strict=True)
            for layer, of_rows in zip(rows[0].layers, outputs, strict=True):
                recording.layer(layer, (), torch.cat(of_rows))
            return torch.cat([row.output for row in rows])

        with self._instead(forward):
            yield

    def _remember(
        self, rows: list[Any], calls: list[tuple[EmbeddingLayer, Any]], output: Any
    ) -> None:
        tensors = [*(made for _, made in calls), output]
        # One input alone, and the layers kept it apart: no folded segments, no XLNet.
        alone = all(isinstance(t, Tensor) and t.dim() > 2 and t.shape[0] == 1 for t in tensors)
        if len(rows) != 1 or not calls or not alone:
            return
        self._left -= sum(tensor.nbytes for tensor in tensors)
        if self._left >= 0:
            layers = tuple(layer for layer, _ in calls)
            kept = [tensor.detach().clone() for tensor in tensors]
            self._known[rows[0]] = _Embedded(layers, tuple(kept[:-1]), kept[-1])

    @contextmanager
    def _instead(self, forward: Callable[..., Any]) -> Iterator[None]:
        embedder = self.found.text_field_embedder
        original, replaced = embedder.forward, "forward" in vars(embedder)
        embedder.forward = partial(forward, original)
        try:
            yield
        finally:
            if replaced:
                embedder.forward = original
            else:
                del embedder.forward


def _rows(args: tuple[Any, ...], options: Mapping[str, Any]) -> list[Any]:
    """Something to know each row of the embedder's input by; nothing where there is no such."""
    given = {**{str(number): arg for number, arg in enumerate(args)}, **options}
    leaves = dict(_leaves(given, ()))
    tensors = {path: leaf for path, leaf in leaves.items() if isinstance(leaf, Tensor)}
    told = [(path, leaf) for path, leaf in leaves.items() if path not in tensors]
    counts = {tensor.shape[0] if tensor.dim() else 0 for tensor in tensors.values()}
    if len(counts) != 1 or not all(isinstance(leaf, _PLAIN) for _, leaf in told):
        return []
    kept = [(path, tensor.detach().cpu()) for path, tensor in tensors.items()]
    return [
        (*told, *((path, *_row(tensor[row])) for path, tensor in kept)) for row in range(*counts)
    ]


def _row(tensor: Tensor) -> tuple[Any, ...]:
    flat = tensor.reshape(-1).contiguous().view(torch.uint8)
    return tensor.dtype, tuple(tensor.shape), flat.numpy().tobytes()


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for name, item in sorted(value.items(), key=lambda item: str(item[0])):
            yield from _leaves(item, (*path, str(name)))
    else:
        yield path, value
