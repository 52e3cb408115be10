"""What the text field embedder made of an input when it was predicted, for when it is recorded.

Before an input is explained the model predicts it, which gives the label, and then runs on it with
the label, which gives the embeddings and the target's value. The embedder, mostly all of the work,
does the same both times; so the second time it is spared. Of an input that is alone even the
graph is kept, so that a gradient at the input itself takes one pass forwards and one backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from .earlier_call import EarlierCall, Graphs, fingerprint
from .embedding_layers import EmbeddingLayer, EmbeddingLayers
from .interventions import Recording, hooked, instead

_MOST_BYTES = 2**28
_PLAIN = (int, str, type(None))


@dataclass(frozen=True)
class _Embedded:
    """One call of the embedder for one input: the layers that it called, and its output.

    Attributes:
        layers: The layers.
        outputs: What they returned; leaves of the output's graph, if it has one.
        output: The output.
    """

    layers: tuple[EmbeddingLayer, ...]
    outputs: tuple[Tensor, ...]
    output: Tensor

    @property
    def has_graph(self) -> bool:
        return self.output.requires_grad and all(leaf.requires_grad for leaf in self.outputs)

    def without_graph(self) -> _Embedded:
        return replace(self, output=self.output.detach())


class EarlierPass:
    """The calls of a twin's text field embedder while it predicted.

    A call is known again by its tensors, so padded inputs, whose tensors are longer, are not.

    Args:
        found: The embedder and the layers in it that are attributed to.
        most_bytes: Memory to fill at most; what came first is kept.
        graphs: Of how many positions the graphs are kept too; see `Graphs`.
        reader: What takes the vectors, if most of the work is done there; see `EarlierCall`.

    Attributes:
        served: How many calls were spared.
    """

    def __init__(
        self,
        found: EmbeddingLayers,
        most_bytes: int = _MOST_BYTES,
        graphs: int = 0,
        reader: nn.Module | None = None,
    ) -> None:
        self.found = found
        self.served = 0
        self._cut = 0
        self._graphs = Graphs(graphs)
        self._reader = None if reader is None else EarlierCall(reader, most_bytes, self._graphs)
        self._left = most_bytes
        self._known: dict[Any, _Embedded] = {}

    @property
    def modules(self) -> list[nn.Module]:
        """The modules whose outputs are given from what is known."""
        reader = [] if self._reader is None else [self._reader.module]
        return [self.found.text_field_embedder, *reader]

    @property
    def cut(self) -> int:
        """How many calls were spared that had no graph."""
        return self._cut + (0 if self._reader is None else self._reader.cut)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes note of what the embedder does."""

        def forward(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
            calls: list[tuple[EmbeddingLayer, Any]] = []

            def note(layer: EmbeddingLayer, given: tuple[Any, ...], output: Any) -> Any:
                if not isinstance(output, Tensor):
                    calls.append((layer, None))
                    return output
                leaf = output.detach().clone().requires_grad_(self._graphs.kept(output))
                calls.append((layer, leaf))
                # A clone: what comes next may work in place, which a leaf does not allow.
                return leaf.clone()

            # Without leaves that require a gradient there is no graph.
            with hooked(self.found.layers, note), torch.enable_grad():
                output = original(*args, **options)
            self._remember(_rows(args, options), calls, output)
            # The model may go on in place.
            return output.detach().clone() if isinstance(output, Tensor) else output

        reading = nullcontext() if self._reader is None else self._reader.listening()
        with instead(self.found.text_field_embedder, forward), reading:
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
            if len(rows) > 1 or not rows[0].has_graph:
                self._cut += 1
                return torch.cat([row.output.detach() for row in rows])
            recording.leaves[-len(rows[0].outputs) :] = rows[0].outputs
            # A graph takes one backward pass, and is gone.
            (key,) = _rows(args, options)
            self._known[key] = rows[0].without_graph()
            return rows[0].output.clone()

        reading = nullcontext() if self._reader is None else self._reader.serving()
        with instead(self.found.text_field_embedder, forward), reading:
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
            leaves = tuple(made for _, made in calls)
            self._known[rows[0]] = _Embedded(layers, leaves, output)


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
        (*told, *((path, *fingerprint(tensor[row])) for path, tensor in kept))
        for row in range(*counts)
    ]


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for name, item in sorted(value.items(), key=lambda item: str(item[0])):
            yield from _leaves(item, (*path, str(name)))
    else:
        yield path, value
