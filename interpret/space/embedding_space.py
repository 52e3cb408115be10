"""The model as a function of its input embeddings, `F: R^size -> R`, one value per row.

A row is a copy of an instance whose embedding layers return a given point, whose coordinates
`Layout` maps to positions and tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from allennlp.data import Instance, Vocabulary
from allennlp.models import Model
from torch import Tensor

from ..contracts import Expected, KeepsRows
from ..errors import InterpretationError
from ..inputs.collation import collate, select_rows
from ..inputs.labels import Labels
from ..model.embedding_layers import EmbeddingLayers, find_embedding_layers
from ..model.twin import name_of
from ..target.entangled import check_linear
from ..target.functions import not_finite, row_values
from ..target.outputs import ModelOutputs
from ..target.prediction_check import check_predicted, floats, row_outputs
from ..target.row_loss import RowLoss, RowLossError, find_reduction
from .alignment import align
from .layout import Layout
from .packing import Chunk
from .passes import differentiate, run_at
from .recording import RecordedCall, record
from .row_order import check_order
from .session import Session

Points = Tensor | Callable[[Tensor], Tensor]
"""Points `(rows, size)`, or a function of row numbers `(chunk,)` that makes them as needed."""

Made = Callable[[Tensor, Tensor], Tensor]
"""A function of some rows' numbers, `(chunk,)`, and gradients, `(chunk, size)`, that returns what a
method keeps of them, `(chunk, …)`."""


class EmbeddingSpace:
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
        session: The argument.
        instances: The instances.
        labels: Their labels, None if they carry none.
        embeddings: The instances' own points, `(instances, size)`, float32 or wider.
        layout: Where tokens stand in a point.
        target: The number that is explained, as given in the session.
        mixes_rows: Whether only the gradients of a batch's rows are known, not their values.
        unsaturated_target: The name of a target that does not saturate where this one does, None
            where there is none; see `Target.unsaturated`.
        model: The model that is run: a twin of the user's.
        vocab: Its vocabulary.
        device: Where points and gradients live.
        rounding: The relative rounding error of the floating type that the model computes in.
        tokens_per_row: Positions that a row takes through the model: its cost.
    """

    def __init__(
        self,
        session: Session,
        instances: Sequence[Instance],
        row_loss: RowLoss | None = None,
        layers: EmbeddingLayers | None = None,
    ) -> None:
        self.instances = list(instances)
        self.target = session.target
        self.session = session
        self._twin = twin = session.twin
        self.model: Model = twin.model
        self.vocab: Vocabulary = twin.model.vocab
        self.device = twin.device
        self.rounding = torch.finfo(twin.dtype).eps
        self._named = layers is not None
        self._row_loss = row_loss or RowLoss()
        keeps = isinstance(self.model, KeepsRows) and self.model.keeps_rows()
        self._derived: list[Tensor] | None = None if keeps else []
        self._tried = 1
        self._collated = collate(self.instances, self.vocab, self.device)
        self._own_rows = torch.arange(len(self.instances))
        outputs, calls, leaves = self._first_pass(layers or find_embedding_layers(twin))
        self.layout = Layout(tuple(align(call, self.instances) for call in calls))
        self.tokens_per_row = max(self.layout.tokens.shape[1], 1)
        embeddings = self.layout.join([call.part(len(self.instances)) for call in calls])
        self.embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        labels = Labels.of(self.instances, self.model)
        at_input = ModelOutputs(outputs, self._own_rows, labels, self._row_loss, self.model)
        self.labels = at_input.labels_or_prediction()
        self.unsaturated_target = self.target.unsaturated(at_input)
        self._target = self.target.at_input(at_input)
        with torch.enable_grad():
            values, self.mixes_rows = self.target_of(outputs, self._own_rows)
        if not torch.isfinite(values).all():
            raise not_finite(values, outputs, self._target.title)
        self._graph: tuple[Tensor, list[Tensor]] = (values, leaves)
        self._outputs = floats(outputs)
        if not self.mixes_rows:
            self.values = values.detach().double().cpu()

    def evaluate(self, points: Points, rows: Tensor) -> Tensor:
        """The target at points.

        Args:
            points: `(rows, size)`, or a function that makes them.
            rows: The instance that each point stands in for, `(rows,)`.

        Returns:
            `(rows,)`, float64, on the CPU.
        """
        values = torch.empty(len(rows), dtype=torch.float64)
        for chunk in self.batches(rows):
            with chunk.guard(), torch.no_grad():
                at, own = self._points(points, chunk.rows), rows[chunk.rows]
                found, entangled = self._forward(at, own)
                if entangled:
                    pairs = zip(at.split(1), own.split(1), strict=True)
                    found = torch.cat([self._forward(*pair)[0] for pair in pairs])
                values[chunk.rows] = found.double().cpu()
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
        for chunk in self.batches(rows):
            gradients = values = None
            with chunk.guard(), torch.enable_grad():
                leaf = self._points(points, chunk.rows).detach().requires_grad_()
                found, entangled = self._forward(leaf, rows[chunk.rows])
                (gradient,) = self._gradient(found, [leaf])
                values = None if entangled else found.detach().double().cpu()
                gradients = self._made(made, chunk.rows, gradient)
            if gradients is not None:
                yield chunk.rows, values, gradients

    def batches(self, rows: Tensor) -> Iterator[Chunk]:
        """Batches of rows for a method that runs the model itself; see `TokenBudget.chunks`.

        Args:
            rows: The instance of each row, `(rows,)`.
        """
        self._forget_graph()
        return self.session.budget.chunks(len(rows), self.tokens_per_row)

    def leaf_and_values(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """A leaf of the graph at points of one batch, `(rows, size)`, and the target there."""
        with torch.enable_grad():
            leaf = points.detach().requires_grad_()
            return leaf, self._forward(leaf, rows)[0]

    def gradient(self, values: Tensor, leaf: Tensor) -> Tensor:
        """The gradient of values with respect to a leaf, `(rows, size)`."""
        return self._gradient(values, [leaf])[0]

    @cached_property
    def values(self) -> Tensor:
        """The target at the instances' own points, `(instances,)`, float64, on the CPU."""
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
        pairs = zip(self.layout.calls, self._gradient(values, leaves), strict=True)
        self._forget_graph()
        parts = [call.to_rows(gradient) for call, gradient in pairs]
        return self.layout.join(parts).to(self.embeddings.dtype)

    def at_input_embeddings(self) -> EmbeddingSpace:
        """The same instances with their input embeddings as coordinates."""
        return self

    def states_at(self, embeddings: Tensor) -> Tensor:
        """The points of this space that belong to points of `at_input_embeddings()`, one for each
        instance, `(instances, size)`."""
        return embeddings

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
            with torch.no_grad():
                alone = self.model(**collate([self.instances[row]], self.vocab, self.device))
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
            RowLossError: If the loss is not the mean (or sum) of the rows' cross entropies.
        """
        if self._row_loss.identified and not self._row_loss.refuted:
            return
        if not self._row_loss.identified:
            # The losses are all near 0, where formulas cannot be distinguished: try another point.
            self.evaluate(torch.zeros_like(self.embeddings), self._own_rows)
        if self._row_loss.refuted:
            raise RowLossError

    @property
    def loss_reduction_unknown(self) -> bool:
        """Whether the target uses a batch's loss that may be a mean or a sum over its rows."""
        return self._row_loss.reduction_unknown

    def loss_reduction(self) -> str:
        """Whether the model's loss is the rows' mean or their sum; see `find_reduction`.

        Raises:
            InterpretationError: If it is neither; then these instances cannot share a batch.
        """

        def loss_at(points: Tensor, rows: Tensor) -> float:
            with torch.no_grad():
                outputs = self._run(rows, points[rows.to(self.device)])
            loss = outputs.get("loss")
            return float(loss.sum()) if isinstance(loss, Tensor) else 0.0

        rows = self._own_rows if len(self.instances) > 1 else self._own_rows.repeat(2)
        points = (self.embeddings, torch.zeros_like(self.embeddings), -self.embeddings)
        return find_reduction(loss_at, points, rows, type(self.model).__name__)

    def _made(self, made: Made | None, numbers: Tensor, gradients: Tensor) -> Tensor:
        if made is None:
            return gradients
        with torch.no_grad():
            return made(numbers, gradients)

    def _forget_graph(self) -> None:
        self._graph = (torch.empty(0), [])

    def _points(self, points: Points, numbers: Tensor) -> Tensor:
        return points(numbers) if callable(points) else points[numbers.to(points.device)]

    def _forward(self, points: Tensor, rows: Tensor) -> tuple[Tensor, bool]:
        """The target at points of one batch; see `target_of`."""
        values, entangled = self.target_of(self._run(rows, points), rows)
        if self._derived and len(rows) > self._tried and not (entangled or self.random):
            self._tried = check_order(self._twin, points, rows, values, self._forward)
        return values, entangled

    def target_of(self, outputs: Mapping[str, Any], rows: Tensor) -> tuple[Tensor, bool]:
        """The target of a model's outputs for copies of instances, `(rows,)`, and whether the rows
        are entangled; see `ModelOutputs`."""
        given = ModelOutputs(outputs, rows, self.labels, self._row_loss, self.model)
        values = self._target(given)
        own = isinstance(values, Tensor) and values.shape == (len(rows),)
        if not own or values.dtype not in (torch.float32, torch.float64):
            values = row_values(values, len(rows), self._target.title)
        if given.rows_entangled:
            check_linear(self._target, name_of(self.model))
        return values, given.rows_entangled

    def _check_differentiable(self, values: Tensor) -> None:
        self._twin.gradient_paths.check()
        if not values.requires_grad:
            raise InterpretationError(
                f"target {self._target.title} of {name_of(self.model)} gives no "
                "gradient: the model runs under torch.no_grad, or the target uses .item(), "
                ".detach() or argmax; compute it from the model's outputs alone, or use a method "
                "that needs values only, such as 'sequential-integrated-gradients'"
            )

    def _gradient(self, values: Tensor, leaves: list[Tensor]) -> list[Tensor]:
        self._check_differentiable(values)
        return differentiate(values, leaves, self.model)

    def _first_pass(
        self, layers: EmbeddingLayers
    ) -> tuple[Mapping[str, Any], list[RecordedCall], list[Tensor]]:
        """The model's outputs for the instances, the calls of the layers, and their leaves."""
        count, cache = len(self.instances), self.session.cache
        outputs, calls = record(self._twin, self._collated, count, layers, self._named, cache)
        return outputs, calls, [call.leaf for call in calls]

    def _run(self, rows: Tensor, points: Tensor) -> Mapping[str, Any]:
        """The model's outputs for copies of instances at points; see `run_at`."""
        collated = select_rows(self._collated, rows, len(self.instances))
        return run_at(self._twin, self.layout, collated, points, rows, self._derived)
