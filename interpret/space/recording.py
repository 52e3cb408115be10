"""Records the outputs of embedding layers while the model runs, or replaces them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..contracts import JoinedTexts
from ..errors import InterpretationError
from ..inputs.joined_texts import TracedCall, trace
from ..model.embedding_layers import EmbeddingLayer
from ..nested import tensors_in


@dataclass(frozen=True)
class EmbeddingCall:
    """One call of an embedding layer, as it was recorded.

    Attributes:
        layer: The layer.
        names: The text fields that it embedded.
        shape: Shape of its output for all instances.
        transposed: Whether the second dimension of the output is the batch, not the first.
        dtype: Floating type of its output.
        joined: Whether its positions are those of a sequence of joined texts: then all dimensions
            after the second are of one position (the streams of a hyper-connection, say).
    """

    layer: EmbeddingLayer
    names: tuple[str, ...]
    shape: tuple[int, ...]
    transposed: bool
    dtype: torch.dtype
    joined: bool = False

    @property
    def what(self) -> str:
        """The fields, for messages."""
        return " and ".join(map(repr, self.names))

    def to_rows(self, output: Tensor, rows: int) -> Tensor:
        """A layer's output as `(rows, positions, dim)`."""
        output = output.transpose(0, 1) if self.transposed else output
        output = output.flatten(2) if self.joined else output
        return output.reshape(rows, -1, output.shape[-1])

    def from_rows(self, part: Tensor, count: int) -> Tensor:
        """`(rows, positions, dim)` as the layer returns it; `count`: instances recorded."""
        batch = self.shape[1] if self.transposed else self.shape[0]
        lead = part.shape[0] * (batch // count)
        if self.transposed:
            own = part.reshape(lead, self.shape[0], *self.shape[2:])
            return own.transpose(0, 1)
        return part.reshape(lead, *self.shape[1:])


Origin = TracedCall | Mapping[str, Any] | None
"""The source of a call's positions: a sequence of joined texts, the tensors of its text field by
indexer, or tokens (None)."""


class Recording:
    """Replaces the output of every embedding layer by a leaf of the graph, and records the call.

    Args:
        collated: The arguments of the model's `forward`.
        count: How many instances these hold.
        texts: The sequences that the model joins its texts to; None where its layers embed one
            text field a call.
    """

    def __init__(
        self,
        collated: Mapping[str, Any],
        count: int,
        texts: Sequence[JoinedTexts] | None = None,
    ) -> None:
        self.calls: list[EmbeddingCall] = []
        self.leaves: list[Tensor] = []
        self.origins: list[Origin] = []
        self._collated = collated
        self._count = count
        self._texts = texts
        self._inputs: Any = None
        self._embedded: list[Any] = []
        self._traced: list[TracedCall] = []
        self._sequence: TracedCall | None = None

    def embedder(self, inputs: Any) -> None:
        """Records the argument of the text field embedder, or of a layer that embeds ids."""
        self._inputs = inputs
        self._embedded.append(inputs)
        if self._texts is not None:
            traced = self._trace(inputs, self._texts)
            # Padding after a text within a window belongs to the same sequence.
            before = self._sequence
            if before is not None and traced.text < 0:
                self._sequence = before.followed_by(traced)
            else:
                self._sequence = traced
            self._traced.append(traced)

    def finish(self) -> None:
        """Ends the recording. An inner layer that was called as often as the text field embedder
        is taken to have read the fields in the same order."""
        # No embedder is running any more.
        self._inputs = None
        inner = [not call.layer.embeds for call in self.calls]
        if self._texts is not None or not inner or not all(inner):
            return
        if len(inner) != len(self._embedded):
            self._check_inner()
        else:
            for number, inputs in enumerate(self._embedded):
                field = self._field(tuple(tensors_in(inputs)))
                self.calls[number] = replace(self.calls[number], names=(field,))
                self.origins[number] = inputs if isinstance(inputs, dict) else None

    def missing(self) -> list[str]:
        """The text fields of joined texts that no layer has embedded."""
        names = dict.fromkeys(name for text in self._texts or () for name in text.names)
        return [name for name in names if not any(name in call.names for call in self.calls)]

    def _check_inner(self) -> None:
        """Refuses an inner layer that sees several text fields as one sequence: its positions are
        no field's."""
        fields = {self._field(tuple(tensors_in(inputs))) for inputs in self._embedded}
        for call in self.calls:
            own = tensors_in(self._collated[call.names[0]])
            widths = {size for tensor in own for size in tensor.shape[1:]}
            positions = call.shape[0 if call.transposed else 1]
            # Several rows of an instance are sequences of its own, a choice with its prompt each.
            rows = call.shape[1 if call.transposed else 0]
            if len(fields) > 1 and (positions not in widths or rows != self._count):
                raise InterpretationError(
                    f"the layer {type(call.layer.module).__name__} sees the text fields "
                    f"{', '.join(map(repr, sorted(fields)))} as one sequence of {positions} "
                    "positions, and the model does not say whose they are; name a layer that sees "
                    "one field at a time, or use a method at the input embeddings"
                )

    def layer(self, layer: EmbeddingLayer, args: tuple[Any, ...], output: Any) -> Tensor:
        """Records what a layer returned.

        Returns:
            A copy of the leaf, which the model continues with.
        """
        leaf = self.note(layer, args, output, None)
        # A clone: the next operation may work in place, which a leaf does not allow.
        return leaf.clone()

    def note(
        self, layer: EmbeddingLayer, args: tuple[Any, ...], output: Any, leaf: Tensor | None
    ) -> Tensor:
        """Records the output of a layer, with an existing leaf for it or a new one.

        Raises:
            InterpretationError: If it is no vector per position of the instances' texts.
        """
        if not isinstance(output, Tensor):
            raise InterpretationError(
                f"the layer {type(layer.module).__name__} returned a {type(output).__name__}, not "
                f"a vector per position; {_way_out(layer)}"
            )
        joined = None if self._texts is None else self._joined(layer, output)
        transposed = self._transposed(args, output) if joined is None else joined.transposed
        batch = output.shape[1] if transposed else output.shape[0]
        if output.dim() < 3 or batch % self._count:
            raise InterpretationError(
                f"the layer {type(layer.module).__name__} returned shape {tuple(output.shape)} "
                f"for {self._count} instances, not a vector per position of each, (instances, "
                f"positions, dim); {_way_out(layer)}"
            )
        if leaf is None:
            leaf = output.detach().requires_grad_()
        names = (self._field(args),) if joined is None else joined.names
        shape = tuple(output.shape)
        self.calls.append(
            EmbeddingCall(layer, names, shape, transposed, output.dtype, joined is not None)
        )
        self.leaves.append(leaf)
        self.origins.append(self._collated[names[0]] if joined is None else joined)
        return leaf

    def _trace(self, inputs: Any, texts: Sequence[JoinedTexts]) -> TracedCall:
        traced = None
        if isinstance(inputs, Tensor):
            traced = trace(inputs, texts, [one.text for one in self._traced])
        if traced is None:
            shape = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            raise InterpretationError(
                f"the model embeds indices of shape {shape} that are not those of its texts "
                f"({', '.join(str(tuple(one.ids.shape)) for one in texts)}), so its scores would "
                "not be those of the tokens; this architecture is not supported"
            )
        return traced

    def _joined(self, layer: EmbeddingLayer, output: Tensor) -> TracedCall:
        """The texts of the sequence that was embedded last, position by position."""
        shape = tuple(output.shape[:2])
        if not self._traced:
            raise InterpretationError(
                f"the layer {type(layer.module).__name__} runs before the texts are embedded; "
                f"{_way_out(layer)}"
            )
        traced = self._traced[-1]
        if self._sequence is not None and not layer.embeds:
            traced = self._sequence
        rows, positions = traced.tokens.shape
        ways = {False: (rows, positions), True: (positions, rows)}
        # Where there are as many rows as positions, states lie as the ids did.
        for transposed in (traced.transposed, not traced.transposed):
            if shape == ways[transposed]:
                return replace(traced, transposed=transposed)
        raise InterpretationError(
            f"the layer {type(layer.module).__name__} returned shape {tuple(output.shape)} for "
            f"{rows} sequences of {positions} positions; {_way_out(layer)}"
        )

    def _transposed(self, args: tuple[Any, ...], output: Tensor) -> bool:
        """Whether the indices went in as `(positions, rows)`, as XLNet's do."""
        ids = next((arg for arg in args if isinstance(arg, Tensor)), None)
        if ids is None or ids.dim() != 2:
            return False
        given = [
            own for own in tensors_in(self._collated) if own.dim() > 1 and own.dtype == ids.dtype
        ]
        given = [own.flatten(0, -2) for own in given]
        if any(own.shape == ids.shape and torch.equal(own, ids) for own in given):
            return False
        return any(_holds(ids.T, own) for own in given)

    def _field(self, args: tuple[Any, ...]) -> str:
        """The text field whose tensors went in: they are the same objects, or share memory."""
        texts = {
            name: tensors for name, tensors in self._collated.items() if isinstance(tensors, dict)
        }
        given = [*tensors_in(args), *tensors_in(self._inputs)]
        for same in (id, _memory):
            marks = set(map(same, given)) - {None}
            for name, tensors in texts.items():
                if not marks.isdisjoint(map(same, tensors_in(tensors))):
                    return name
        if len(texts) == 1:
            return next(iter(texts))
        raise InterpretationError(
            f"an embedding layer was given none of the tensors of the text fields {sorted(texts)}, "
            "so its scores would be no field's; pass the fields' tensors to the text field "
            "embedder as they are"
        )


class Replacement:
    """Replaces the embeddings by given points, call by call as recorded."""

    def __init__(self, calls: Sequence[EmbeddingCall], parts: Sequence[Tensor], count: int) -> None:
        self._calls = calls
        self._parts = parts
        self._count = count
        self._next = 0

    def layer(self, layer: EmbeddingLayer, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if self._next >= len(self._calls):
            raise InterpretationError(self._mismatch("more"))
        call, part = self._calls[self._next], self._parts[self._next]
        self._next += 1
        point = call.from_rows(part, self._count)
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


def _way_out(layer: EmbeddingLayer) -> str:
    if layer.embeds:
        return "override get_interpretable_layer in the predictor"
    return "name a layer whose output has a vector per token or wordpiece"


def _memory(tensor: Tensor) -> int | None:
    return tensor.data_ptr() or None


def _holds(ids: Tensor, own: Tensor) -> bool:
    """Whether indices are a field's, `(rows, positions)`, or those folded into segments."""
    if ids.numel() % max(len(own), 1) or ids.numel() < own.numel():
        return False
    return torch.equal(ids.reshape(len(own), -1)[:, : own.shape[1]], own)
