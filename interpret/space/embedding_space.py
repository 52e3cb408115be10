"""The model as a function of its input embeddings.

`F: R^size -> R`, one value per row. A row is a copy of an instance whose embedding layers return
a given point instead of the instance's own embeddings. Methods ask for values and gradients at
points; `Layout` maps the coordinates of a point to positions and tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from allennlp.data import Instance
from torch import Tensor

from ..contracts import Expected, JoinedTexts, JoinsTexts
from ..errors import InterpretationError
from ..inputs.collation import collate, select_rows
from ..inputs.joined_texts import TracedCall
from ..inputs.labels import Labels
from ..model.embedding_layers import EmbeddingLayer, EmbeddingLayers, find_embedding_layers
from ..model.hooks import hooked
from ..model.prediction_cache import PredictionCache
from ..model.twin import name_of
from ..target.outputs import ModelOutputs
from ..target.prediction_check import check_predicted, row_outputs
from ..target.row_loss import RowLoss
from .alignment import align, special_tokens
from .embedding_table import EmbeddingTable
from .layout import CallLayout, Layout
from .packing import Chunk, out_of_memory
from .recording import EmbeddingCall, Origin, Recording, Replacement
from .session import Session

_SMALL_LOSS = 1e-2

Points = Tensor | Callable[[Tensor], Tensor]
"""Points `(rows, size)`, or a function of row numbers `(chunk,)` that makes them as needed."""

Made = Callable[[Tensor, Tensor], Tensor]
"""A function of some rows' numbers, `(chunk,)`, and gradients, `(chunk, size)`, that returns what a
method keeps of them, `(chunk, …)`."""


@dataclass(frozen=True)
class FirstPass:
    """The result of the recording pass: the model's first run on the instances.

    Attributes:
        outputs: The model's outputs.
        calls: The calls of the layers.
        parts: The output of each call, `(instances, positions, dim)`.
        origins: For each call the source of its positions.
        leaves: For each call its leaf in the graph; empty where there is no graph.
    """

    outputs: Mapping[str, Any]
    calls: list[EmbeddingCall]
    parts: list[Tensor]
    origins: list[Origin]
    leaves: list[Tensor]


class EmbeddingSpace(EmbeddingTable):
    """Labelled instances, and the model as a function of their embeddings.

    Creating the space runs the model once on the instances, which records the embeddings and
    the value and gradient of the target there.

    Args:
        session: The predictor's private copy, the target and the budget.
        instances: Labelled instances to share a batch; token indexers applied.
        row_loss: How to get the rows' losses from a batch's loss; see `RowLoss`.
        layers: The layers whose outputs are the coordinates; None for the embedding layers.

    Raises:
        InterpretationError: If the model calls no embedding layer, the target is not finite or
            not differentiable, or the instances do not fit one batch.

    Attributes:
        instances: The instances.
        labels: Their labels, None if they carry none.
        embeddings: The instances' own points, `(instances, size)`, float32 or wider.
        layout: Where tokens stand in a point.
        values: The target at the instances' own points, `(instances,)`.
        target: The number that is explained, as given in the session.
        unsaturated_target: The name of a target that does not saturate where this one does, None
            where there is none; see `Target.unsaturated`.
    """

    def __init__(
        self,
        session: Session,
        instances: Sequence[Instance],
        row_loss: RowLoss | None = None,
        layers: EmbeddingLayers | None = None,
    ) -> None:
        self.instances = list(instances)
        self._session = session
        self._twin = twin = session.twin
        self._target = self.target = session.target
        self._layers = layers
        self._budget = session.budget
        self._row_loss = row_loss or RowLoss()
        self._collated = collate(self.instances, twin.model.vocab, twin.device)
        self._own_rows = torch.arange(len(self.instances))
        self.labels = Labels.of(self.instances, twin.model)
        self._calls: list[EmbeddingCall] = []
        self._record(layers or find_embedding_layers(twin))

    def evaluate(self, points: Points, rows: Tensor) -> Tensor:
        """The target at points.

        Args:
            points: `(rows, size)`, or a function that makes them.
            rows: The instance that each point stands in for, `(rows,)`.

        Returns:
            `(rows,)`, float64, on the CPU.
        """
        values = torch.empty(len(rows), dtype=torch.float64)
        for chunk in self._chunks(len(rows)):
            with chunk.guard(), torch.no_grad():
                at = self._points(points, chunk.rows)
                values[chunk.rows] = self._values(at, rows[chunk.rows]).double().cpu()
        return values

    def gradients(
        self, points: Points, rows: Tensor, made: Made | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The gradients of the target at points, a batch at a time.

        Args:
            points: `(rows, size)`, or a function that makes them.
            rows: The instance that each point stands in for, `(rows,)`.
            made: A function without side effects that reduces a batch's gradients. It runs inside
                the memory guard: where it runs out of memory, the batch is halved, and the input
                does not fail.

        Yields:
            The numbers of the rows in the batch, `(chunk,)`, and their gradients `(chunk, size)`,
            or what `made` returned for them.
        """
        for numbers, _, gradients in self.values_and_gradients(points, rows, made):
            yield numbers, gradients

    def values_and_gradients(
        self, points: Points, rows: Tensor, made: Made | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """As `gradients`, with the target at the points, `(chunk,)`, float64, on the CPU: the same
        forward pass gives it. None where only the sum of the rows' values is known."""
        for chunk in self._chunks(len(rows)):
            gradients = values = None
            with chunk.guard(), torch.enable_grad():
                leaf = self._points(points, chunk.rows).detach().requires_grad_()
                values = self._forward(leaf, rows[chunk.rows])
                found = self._gradient(values, [leaf])[0]
                values = None if self._row_loss.rows_entangled else values.detach().double().cpu()
                gradients = self._made(made, chunk.rows, found)
            if gradients is not None:
                yield chunk.rows, values, gradients

    def batches(self, rows: Tensor) -> Iterator[Chunk]:
        """Batches of rows for a method that runs the model itself; see `TokenBudget.chunks`."""
        return self._chunks(len(rows))

    def values_at(self, points: Tensor, rows: Tensor) -> Tensor:
        """The target at points that fit one batch, `(rows,)`, with the graph that leads there."""
        return self.leaf_and_values(points, rows)[1]

    def leaf_and_values(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """A leaf of the graph at points of one batch, `(rows, size)`, and the target there."""
        with torch.enable_grad():
            leaf = points.detach().requires_grad_()
            return leaf, self._forward(leaf, rows)

    def gradient(self, values: Tensor, leaf: Tensor) -> Tensor:
        """The gradient of values with respect to a leaf, `(rows, size)`."""
        return self._gradient(values, [leaf])[0]

    def weighted_gradients(self, points: Points, rows: Tensor, weights: Tensor) -> Tensor:
        """Σ w_r ∇F(point_r) over the rows r of each instance.

        Args:
            points: `(rows, size)`, or a function that makes them.
            rows: The instance that each point stands in for, `(rows,)`.
            weights: `(rows,)`.

        Returns:
            `(instances, size)`.
        """
        total = torch.zeros_like(self.embeddings)

        def weighted(numbers: Tensor, gradients: Tensor) -> Tensor:
            return gradients * weights[numbers].to(gradients).unsqueeze(-1)

        for numbers, some in self.gradients(points, rows, weighted):
            total.index_add_(0, rows[numbers].to(self.device), some)
        return total

    @cached_property
    def values(self) -> Tensor:
        """The target at the instances' own points, `(instances,)`, float64, on the CPU."""
        if self._recorded_values is not None:
            return self._recorded_values
        return self.evaluate(self.embeddings, self._own_rows)

    @cached_property
    def input_gradients(self) -> Tensor:
        """∇F at the instances' own points, `(instances, size)`, from the recording pass's graph."""
        values, leaves = self._graph
        if not leaves:
            whole = torch.empty_like(self.embeddings)
            for numbers, gradients in self.gradients(self.embeddings, self._own_rows):
                whole[numbers.to(self.device)] = gradients
            return whole
        at_leaves = self._gradient(values, leaves)
        self._forget_graph()
        parts = [
            call.to_rows(g, len(self.instances))
            for call, g in zip(self._calls, at_leaves, strict=True)
        ]
        return self.layout.join(parts).to(self.embeddings.dtype)

    def at_input_embeddings(self) -> EmbeddingSpace:
        """The same instances with their input embeddings as coordinates."""
        if self._layers is None:
            return self
        return EmbeddingSpace(self._session, self.instances, self._row_loss)

    def states_at(self, embeddings: Tensor) -> Tensor:
        """The points of this space that belong to other input embeddings.

        Args:
            embeddings: A point per instance among those of `at_input_embeddings()`.

        Returns:
            What the layers of this space return for them, `(instances, size)`.
        """
        states: list[Tensor] = []

        def collect(layer: EmbeddingLayer, args: tuple[Any, ...], output: Tensor) -> Tensor:
            states.append(output.detach().clone())
            if len(states) == len(self._calls):
                raise StopForward
            return output

        first = self.at_input_embeddings()
        layers = [call.layer for call in self._calls]
        # The rest of the forward pass is not needed.
        with torch.no_grad(), suppress(StopForward):
            first._run(self._own_rows, embeddings, lambda: hooked(layers, collect))
        parts = [
            call.to_rows(state, len(self.instances))
            for call, state in zip(self._calls, states, strict=True)
        ]
        return self.layout.join(parts).to(self.embeddings.dtype)

    def check_predicted(self, expected: Sequence[Expected | None]) -> None:
        """Makes sure that the model returned for each instance what it predicted.

        Args:
            expected: What was predicted for each instance; None where nothing is known.

        Raises:
            Mismatch: If it did not.
        """
        if not self.random:
            check_predicted(self._outputs, expected, self._twin.dtype)

    def check_alone(self, rows: Iterable[int]) -> None:
        """Makes sure that the model returned for some instances what it returns for each alone.

        Args:
            rows: The instances, by their numbers.

        Raises:
            Mismatch: If the outputs depend on the other instances or on padding.
        """
        for row in rows:
            one = [self.instances[row]]
            with torch.no_grad():
                alone = self._twin.model(**collate(one, self.vocab, self.device))
            expected: list[Expected | None] = [None] * len(self.instances)
            expected[row] = row_outputs(alone, 0)
            self.check_predicted(expected)

    @cached_property
    def random(self) -> bool:
        """Whether the model's forward pass is random although it is in evaluation mode."""
        with torch.no_grad():
            return self._twin.random_passes.settle(
                lambda: self._run(self._own_rows, self.embeddings)
            )

    def verify_row_losses(self) -> None:
        """Makes sure that the rows' losses were computed by the right formula.

        Raises:
            RowLossError: If the model's loss is not the mean (or sum) of the rows' cross
                entropies.
        """
        if self._row_loss.identified and not self._row_loss.refuted:
            return
        if not self._row_loss.identified:
            # The losses are all near 0, where formulas cannot be distinguished: try another point.
            self.evaluate(torch.zeros_like(self.embeddings), self._own_rows)
        if self._row_loss.refuted:
            raise RowLossError

    @property
    def mixes_rows(self) -> bool:
        """Whether only the gradients of a batch's rows are known, not their values."""
        return self._recorded_values is None

    @property
    def loss_reduction_unknown(self) -> bool:
        """Whether the target uses a batch's loss that may be a mean or a sum over its rows."""
        return self._row_loss.reduction_unknown

    def loss_reduction(self) -> str:
        """Whether the model's loss is the mean or the sum of the rows' losses.

        Found by running all instances in one batch and each alone. If one instance has a larger
        weight than another, for its label or its number of tags, they cannot share a batch. Where
        the losses are nearly 0, other points than the instances' own are tried.

        Raises:
            InterpretationError: If it is neither; then these instances cannot share a batch.
        """
        rows = self._own_rows if len(self.instances) > 1 else self._own_rows.repeat(2)
        together, alone = 0.0, 0.0
        for points in (self.embeddings, torch.zeros_like(self.embeddings), -self.embeddings):
            if abs(alone) < _SMALL_LOSS:
                together = self._loss(points, rows)
                alone = sum(self._loss(points, row) for row in rows.split(1))
        for name, whole in (("mean", alone / len(rows)), ("sum", alone)):
            if abs(together - whole) <= 1e-4 * abs(whole) + 1e-7:
                return name
        raise InterpretationError(
            f"the loss of {type(self._twin.model).__name__} is {together:.6g} for {len(rows)} rows "
            f"whose losses add up to {alone:.6g}, neither their mean nor their sum; use a target "
            "that reads the model's outputs ('logit', 'probability')"
        )

    def _loss(self, points: Tensor, rows: Tensor) -> float:
        with torch.no_grad():
            outputs = self._run(rows, points[rows.to(self.device)])
        loss = outputs.get("loss")
        return float(loss.sum()) if isinstance(loss, Tensor) else 0.0

    def _chunks(self, rows: int) -> Iterator[Chunk]:
        self._forget_graph()
        return self._budget.chunks(rows, self.tokens_per_row)

    def _made(self, made: Made | None, numbers: Tensor, gradients: Tensor) -> Tensor:
        if made is None:
            return gradients
        with torch.no_grad():
            return made(numbers, gradients)

    def _forget_graph(self) -> None:
        self._graph: tuple[Tensor, list[Tensor]] = (torch.empty(0), [])

    def _points(self, points: Points, numbers: Tensor) -> Tensor:
        return points(numbers) if callable(points) else points[numbers.to(points.device)]

    def _values(self, points: Tensor, rows: Tensor) -> Tensor:
        values = self._forward(points, rows)
        if not self._row_loss.rows_entangled:
            return values
        return torch.cat(
            [self._forward(points[i : i + 1], rows[i : i + 1]) for i in range(len(rows))]
        )

    def _forward(self, points: Tensor, rows: Tensor) -> Tensor:
        return self._explained(self._run(rows, points), rows)

    def _explained(self, outputs: Mapping[str, Any], rows: Tensor) -> Tensor:
        self._row_loss.rows_entangled = False
        model = self._twin.model
        values = self._target(ModelOutputs(outputs, rows, self.labels, self._row_loss, model))
        if values.shape != (len(rows),):
            raise InterpretationError(
                f"target {type(self._target).__name__} returned shape {tuple(values.shape)} for "
                f"{len(rows)} rows; return one number per row, ({len(rows)},)"
            )
        return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values

    def _check_differentiable(self, values: Tensor) -> None:
        self._twin.gradient_paths.check()
        if not values.requires_grad:
            raise InterpretationError(
                f"target {type(self._target).__name__} of {name_of(self._twin.model)} gives no "
                "gradient: the model runs under torch.no_grad, or the target uses .item(), "
                ".detach() or argmax; compute it from the model's outputs alone, or use a method "
                "that needs values only, such as 'sequential-integrated-gradients'"
            )

    def _gradient(self, values: Tensor, leaves: list[Tensor]) -> list[Tensor]:
        self._check_differentiable(values)
        try:
            gradients = torch.autograd.grad(values.sum(), leaves, allow_unused=True)
        except Exception as error:
            if out_of_memory(error) or isinstance(error, InterpretationError):
                raise
            raise InterpretationError(
                f"{name_of(self._twin.model)} cannot be differentiated in evaluation mode "
                f"({type(error).__name__}: {error}); use a method that needs values only, such as "
                "'sequential-integrated-gradients' or 'value-zeroing'"
            ) from error
        return [
            torch.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(leaves, gradients, strict=True)
        ]

    def _record(self, found: EmbeddingLayers) -> None:
        first = self._first_pass(found)
        self._calls = first.calls
        layouts = map(self._call_layout, first.calls, first.parts, first.origins)
        self.layout = Layout(tuple(layouts))
        model = self._twin.model
        embeddings = self.layout.join(first.parts)
        self.embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        self._outputs = {
            name: value.detach()
            for name, value in first.outputs.items()
            if isinstance(value, Tensor) and value.is_floating_point()
        }
        at_input = ModelOutputs(first.outputs, self._own_rows, self.labels, self._row_loss, model)
        self.labels = at_input.labels_or_prediction()
        self.unsaturated_target = self.target.unsaturated(at_input)
        self._target = self._target.at_input(at_input)
        with torch.enable_grad():
            values = self._explained(first.outputs, self._own_rows)
        rows_entangled = self._row_loss.rows_entangled
        self._recorded_values = None if rows_entangled else values.detach().double().cpu()
        self._graph = (values, first.leaves)
        if not torch.isfinite(values).all():
            raise InterpretationError(
                f"target {type(self._target).__name__} is {values.detach().tolist()}, not finite; "
                "look for NaN or infinite weights, or logits too large for the model's precision"
            )

    def _first_pass(self, found: EmbeddingLayers) -> FirstPass:
        count = len(self.instances)
        recording = Recording(self._collated, count, self._joined_texts(self._collated))
        hooks = hooked(found.layers, recording.layer, found.embedders, recording.embedder)
        cache = self._session.cache
        if cache is None or cache.found != found:
            cache = PredictionCache(found)
        watching = self._twin.gradient_paths.watching(cache.modules)
        drawing = self._twin.random_passes.watching()
        with watching, drawing, hooks, cache.serving(recording) as served, torch.enable_grad():
            outputs = self._twin.model(**self._collated)
        self._check_recorded(recording, found)
        parts = [
            call.to_rows(leaf.detach(), count)
            for call, leaf in zip(recording.calls, recording.leaves, strict=True)
        ]
        # Outputs served from the cache may have no graph.
        leaves = recording.leaves if all(served) else []
        return FirstPass(outputs, recording.calls, parts, recording.origins, leaves)

    def _joined_texts(self, collated: Mapping[str, Any]) -> Sequence[JoinedTexts] | None:
        model = self._twin.model
        return model.joined_texts(collated) if isinstance(model, JoinsTexts) else None

    def _check_recorded(self, recording: Recording, found: EmbeddingLayers) -> None:
        if not recording.calls and self._layers is not None:
            kinds = ", ".join(type(layer.module).__name__ for layer in found.layers)
            raise InterpretationError(
                f"{name_of(self._twin.model)} does not run the layer ({kinds}) on a text, or not "
                "as a module; name another: a block of the part that reads text"
            )
        if not recording.calls:
            raise InterpretationError(
                f"{type(self._twin.model).__name__} called none of the layers to interpret "
                f"({', '.join(type(layer.module).__name__ for layer in found.layers)}); override "
                "get_interpretable_layer in the predictor"
            )
        recording.finish()
        missing = [] if self._layers is not None else recording.missing()
        if missing:
            raise InterpretationError(
                f"{name_of(self._twin.model)} embeds {' and '.join(map(repr, missing))} by a layer "
                "that it does not name, so its tokens would have no scores; this architecture is "
                "not supported"
            )

    def _call_layout(self, call: EmbeddingCall, part: Tensor, origin: Origin) -> CallLayout:
        rows, positions, dim = part.shape
        if isinstance(origin, TracedCall):
            fields, tokens = origin.fields.view(rows, -1), origin.tokens.view(rows, -1)
            special = special_tokens(self.instances, call.names, fields, tokens)
        else:
            (name,) = call.names
            tokens, special = align(name, self.instances, origin, call.layer, positions)
            fields = torch.zeros_like(tokens)
        return CallLayout(call.names, positions, dim, fields, tokens, special)

    def _run(
        self,
        rows: Tensor,
        points: Tensor,
        listening: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Mapping[str, Any]:
        """The model's outputs for copies of instances with other embeddings; the hooks of
        `listening` see the replaced embeddings."""
        collated = select_rows(self._collated, rows, len(self.instances))
        replacing = Replacement(self._calls, self.layout.split(points), len(self.instances))
        watching = self._watching(points)
        with watching, hooked([call.layer for call in self._calls], replacing.layer), listening():
            outputs = self._twin.model(**collated)
        replacing.finish()
        return outputs

    def _watching(self, points: Tensor) -> AbstractContextManager[None]:
        """Notes which modules pass gradients back, where there is a graph."""
        return self._twin.gradient_paths.watching() if points.requires_grad else nullcontext()


class StopForward(Exception):
    """Ends a forward pass whose remaining layers are not needed."""


class RowLossError(Exception):
    """The losses of a batch's rows were taken from a formula that does not hold."""
