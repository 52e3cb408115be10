"""The recording pass: the model's first run on instances, whose embeddings become leaves of the
graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from allennlp.models import Model
from torch import Tensor

from ..contracts import JoinedTexts, JoinsTexts
from ..errors import InterpretationError
from ..inputs.collation import TracedCall, trace
from ..model.embedding_layers import EmbeddingLayer, EmbeddingLayers
from ..model.hooks import hooked
from ..model.prediction_cache import PredictionCache
from ..model.twin import Twin, name_of
from ..nested import tensors_in
from ..positions import HELD, UNASSIGNED

_BLACK_BOX = (
    "use a perturbation method, 'leave-one-out' say, with the target 'output', which asks for "
    "predictions alone"
)

Origin = TracedCall | Mapping[str, Any] | None
"""The source of a call's positions: a sequence of joined texts, the tensors of its text field by
indexer, or tokens (None)."""


@dataclass(frozen=True)
class RecordedCall:
    """One call of an embedding layer.

    Attributes:
        layer: The layer.
        names: The text fields that it embedded.
        leaf: Its output, a leaf of the graph.
        transposed: Whether the second dimension of the output is the batch, not the first.
        origin: The source of its positions.
    """

    layer: EmbeddingLayer
    names: tuple[str, ...]
    leaf: Tensor
    transposed: bool
    origin: Origin

    def part(self, rows: int) -> Tensor:
        """The output as `(rows, positions, dim)`."""
        output = self.leaf.detach()
        output = output.transpose(0, 1) if self.transposed else output
        if isinstance(self.origin, TracedCall):
            # All dimensions after the second are of one position (streams of a hyper-connection).
            output = output.flatten(2)
        return output.reshape(rows, -1, output.shape[-1])


def record(
    twin: Twin,
    collated: Mapping[str, Any],
    count: int,
    layers: EmbeddingLayers,
    named: bool = False,
    cache: PredictionCache | None = None,
) -> tuple[Mapping[str, Any], list[RecordedCall]]:
    """Runs the model on instances as they are.

    Args:
        twin: The private copy of the predictor.
        collated: The arguments of the model's `forward`.
        count: How many instances these hold.
        layers: The layers to record.
        named: Whether these were named, and may leave texts out.
        cache: The backbone's calls from the prediction, which need not be run again.

    Returns:
        The model's outputs, and the calls of the layers.

    Raises:
        InterpretationError: If the model calls none of the layers, or embeds a text otherwise.
    """
    model = twin.model
    texts = model.joined_texts(collated) if isinstance(model, JoinsTexts) else None
    recording = Recording(collated, count, texts)
    serving: AbstractContextManager[None] = nullcontext()
    if cache is not None and cache.layers == layers:
        serving = cache.serving(recording.embedder, recording.note)
    hooks = hooked(layers.layers, recording.layer, layers.embedders, recording.embedder)
    watching, drawing = twin.gradient_paths.watching(), twin.random_passes.watching()
    with watching, drawing, hooks, serving, torch.enable_grad():
        outputs = model(**collated)
    if recording.calls:
        return outputs, recording.finish(model, named)
    kinds = ", ".join(type(layer.module).__name__ for layer in layers.layers)
    if named:
        raise InterpretationError(
            f"{name_of(model)} does not run the layer ({kinds}) on a text, or not as a module; "
            "name another: a block of the part that reads text"
        )
    raise InterpretationError(
        f"{type(model).__name__} called none of the layers to interpret ({kinds}): it looks its "
        "weights up by itself, or keeps what it computed for an input; let it call the layer, or "
        "override get_interpretable_layer in the predictor to name another"
    )


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
        self.calls: list[RecordedCall] = []
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
        if self._texts is None:
            return
        seen = [one.text for one in self._traced]
        traced = trace(inputs, self._texts, seen) if isinstance(inputs, Tensor) else None
        if traced is None:
            shape = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            raise InterpretationError(
                f"the model embeds indices of shape {shape} that are not those of its texts "
                f"({', '.join(str(tuple(one.ids.shape)) for one in self._texts)}), so its scores "
                f"would not be those of the tokens; {_BLACK_BOX}"
            )
        # Padding after a text within a window belongs to the same sequence.
        before = self._sequence
        if before is not None and traced.text < 0:
            self._sequence = before.followed_by(traced)
        else:
            self._sequence = traced
        self._traced.append(traced)

    def layer(self, layer: EmbeddingLayer, args: tuple[Any, ...], output: Any) -> Tensor:
        """Records what a layer returned.

        Returns:
            A copy of the leaf, which the model continues with.
        """
        leaf = output.detach() if isinstance(output, Tensor) else output
        self.note(layer, args, leaf)
        leaf.requires_grad_()
        # A clone: the next operation may work in place, which a leaf does not allow.
        return leaf.clone()

    def note(self, layer: EmbeddingLayer, args: tuple[Any, ...], leaf: Any) -> None:
        """Records a call of a layer.

        Args:
            layer: The layer.
            args: What it was given.
            leaf: Its output, a leaf of the graph.

        Raises:
            InterpretationError: If it is no vector per position of the instances' texts.
        """
        if not (isinstance(leaf, Tensor) and leaf.is_floating_point()):
            kind = leaf.dtype if isinstance(leaf, Tensor) else type(leaf).__name__
            raise InterpretationError(
                f"the layer {type(layer.module).__name__} returned a {kind}, not a vector per "
                f"position; {_way_out(layer)}"
            )
        joined = None if self._texts is None else self._joined(layer, leaf)
        transposed = self._transposed(args, leaf) if joined is None else joined.transposed
        batch = leaf.shape[1] if transposed else leaf.shape[0]
        if leaf.dim() < 3 or batch % self._count:
            raise InterpretationError(
                f"the layer {type(layer.module).__name__} returned shape {tuple(leaf.shape)} "
                f"for {self._count} instances, not a vector per position of each, (instances, "
                f"positions, dim); {_way_out(layer)}"
            )
        if joined is not None:
            self.calls.append(RecordedCall(layer, joined.names, leaf, transposed, joined))
            return
        name = self._field([*tensors_in(args), *tensors_in(self._inputs)])
        self.calls.append(RecordedCall(layer, (name,), leaf, transposed, self._collated[name]))

    def finish(self, model: Model, named: bool) -> list[RecordedCall]:
        """Ends the recording. An inner layer that was called as often as the text field embedder
        is taken to have read the fields in the same order.

        Args:
            model: The model, for messages.
            named: Whether the layers were named, and may leave texts out.

        Returns:
            The calls.

        Raises:
            InterpretationError: If a text was embedded by another layer, or an inner layer sees
                several text fields as one sequence.
        """
        if self._texts is not None and not named:
            embedded = {name for call in self.calls for name in call.names}
            names = dict.fromkeys(name for text in self._texts for name in text.names)
            missing = [repr(name) for name in names if name not in embedded]
            if missing:
                raise InterpretationError(
                    f"{name_of(model)} embeds {' and '.join(missing)} by a layer that it does not "
                    f"name, so its tokens would have no scores; {_BLACK_BOX}"
                )
        elif self._texts is None and not any(call.layer.embeds for call in self.calls):
            fields = [self._field(list(tensors_in(inputs))) for inputs in self._embedded]
            if len(fields) != len(self.calls):
                self._check_apart(set(fields))
                return self.calls
            return [
                replace(call, names=(name,), origin=inputs if isinstance(inputs, dict) else None)
                for call, name, inputs in zip(self.calls, fields, self._embedded, strict=True)
            ]
        return self.calls

    def _check_apart(self, fields: set[str]) -> None:
        """Refuses an inner layer that sees several text fields as one sequence: its positions are
        no field's."""
        for call in self.calls:
            own = tensors_in(self._collated[call.names[0]])
            widths = {size for tensor in own for size in tensor.shape[1:]}
            rows, positions = call.leaf.shape[1::-1] if call.transposed else call.leaf.shape[:2]
            # Several rows of an instance are sequences of its own, a choice with its prompt each.
            if len(fields) > 1 and (positions not in widths or rows != self._count):
                raise InterpretationError(
                    f"the layer {type(call.layer.module).__name__} sees the text fields "
                    f"{', '.join(map(repr, sorted(fields)))} as one sequence of {positions} "
                    "positions, and the model does not say whose they are; name a layer that sees "
                    "one field at a time, or use a method at the input embeddings"
                )

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
                tokens = traced.tokens
                if not layer.embeds:
                    # What a block returns there depends on the input, so it cannot be held.
                    tokens = torch.where(tokens == HELD, UNASSIGNED, tokens)
                return replace(traced, tokens=tokens, transposed=transposed)
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
            own.flatten(0, -2)
            for own in tensors_in(self._collated)
            if own.dim() > 1 and own.dtype == ids.dtype
        ]
        if any(own.shape == ids.shape and torch.equal(own, ids) for own in given):
            return False
        if any(_holds(ids.T, own) for own in given):
            return True
        if not any(_holds(ids, own) for own in given):
            _check_order(ids, given)
        return False

    def _field(self, given: Sequence[Tensor]) -> str:
        """The text field whose tensors went in: they are the same objects, or share memory."""
        texts = {name: value for name, value in self._collated.items() if isinstance(value, dict)}
        # An empty tensor has no memory: 0.
        for same in (id, Tensor.data_ptr):
            marks = set(map(same, given)) - {0}
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


def _way_out(layer: EmbeddingLayer) -> str:
    if layer.embeds:
        return "override get_interpretable_layer in the predictor"
    return "name a layer whose output has a vector per token or wordpiece"


def _check_order(ids: Tensor, given: Sequence[Tensor]) -> None:
    """Refuses indices that are a text field's in another order: rows that are sorted, texts that
    are read backwards. (Other indices in their places, as of unknown words, are the field's own.)

    Args:
        ids: What a layer embeds, `(rows, positions)`.
        given: The fields' tensors, `(rows, positions)`, none of which it is.

    Raises:
        InterpretationError: If it holds the same indices as one of these.
    """
    own = ids.flatten().sort().values
    if any(torch.equal(one.flatten().sort().values, own) for one in given):
        raise InterpretationError(
            "the model embeds the indices of a text field in another order than the field has "
            "them, so its scores would be those of other tokens; give the embedder the field's "
            "tensors as they are, and change the order of the vectors that it returns"
        )


def _holds(ids: Tensor, own: Tensor) -> bool:
    """Whether indices are a field's, `(rows, positions)`, or those folded into segments."""
    if ids.numel() % max(len(own), 1) or ids.numel() < own.numel():
        return False
    return torch.equal(ids.reshape(len(own), -1)[:, : own.shape[1]], own)
