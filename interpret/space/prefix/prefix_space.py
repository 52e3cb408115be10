"""The model as a function of embeddings, where instances are prefixes of one text.

Points that are prefixes of another point share its row in the model: the tokens of a generated
text share one forward pass at each point of their paths.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from allennlp.data import Instance
from allennlp.models import Model
from allennlp.nn.util import get_text_field_mask
from torch import Tensor

from ...contracts import PrefixTargets, SupportsPrefixes
from ...inputs.collation import TracedCall, collate, select_rows
from ...inputs.texts import text_items
from ...model.embedding_layers import EmbeddingLayers
from ...positions import PADDING
from ...target.row_loss import RowLoss
from ..embedding_space import EmbeddingSpace, Made, Points
from ..packing import Chunk
from ..passes import run_at
from ..recording import RecordedCall, record
from ..session import Session
from .prefix_targets import batched_backward, gradients_of_targets, group_prefixes

# A gradient takes a hundredth of the memory that the graph of its row does, or less.
_GRADIENTS_PER_ROW = 32
_SAME = {torch.float16: 2e-2, torch.bfloat16: 1e-1}


def _tokens(instance: Instance) -> int:
    fields = instance.fields.values()
    return sum(len(item.text.tokens) for field in fields for item in text_items(field))


def group_by_text(model: Model, instances: Sequence[Instance]) -> list[list[int]]:
    """Groups the numbers of instances by text; an instance that belongs to no text is alone."""
    together: dict[Hashable, list[int]] = {}
    for number, instance in enumerate(instances):
        text = model.whole_text(instance) if isinstance(model, SupportsPrefixes) else None
        together.setdefault(("alone", number) if text is None else text, []).append(number)
    return list(together.values())


class NotCausalError(Exception):
    """A target of the model depends on what comes after it, or its states cannot be read."""


def space_of(session: Session, instances: Sequence[Instance], row_loss: RowLoss) -> EmbeddingSpace:
    """The space of some instances: one that shares rows where some are prefixes of one text.

    Raises:
        Mismatch: If a model whose targets depend on later tokens also depends on padding.
    """
    model = session.twin.model
    if not isinstance(model, SupportsPrefixes) or len(group_by_text(model, instances)) == len(
        instances
    ):
        return EmbeddingSpace(session, instances, row_loss)
    try:
        return PrefixSpace(session, instances, row_loss)
    except NotCausalError:
        space = EmbeddingSpace(session, instances, row_loss)
        # A given text has no prediction to compare with, so this is the only check for padding.
        space.check_alone(range(len(instances)))
        return space


class PrefixSpace(EmbeddingSpace):
    """An `EmbeddingSpace` whose rows hold whole texts.

    It gives the same numbers. Its model must be a `SupportsPrefixes`.

    Raises:
        NotCausalError: If the model returns other outputs for the shortest prefix alone.

    Attributes:
        row_instances: The instance that each row of the recording pass held, `(rows,)`.
        row_of: The row that held each instance, `(instances,)`.
    """

    row_instances: Tensor
    row_of: Tensor

    def evaluate(self, points: Points, rows: Tensor) -> Tensor:
        values = torch.empty(len(rows), dtype=torch.float64)
        for chunk, groups in self._batches(points, rows, None):
            with chunk.guard(), torch.no_grad():
                at = self._points(points, chunk.rows)
                row, row_targets = self._rows_of(at, rows[chunk.rows], groups)
                outputs = self._run_whole(rows[chunk.rows], at[row_targets], row_targets, row)
                found, _ = self.target_of(outputs, rows[chunk.rows])
                values[chunk.rows] = found.double().cpu()
        return values

    def values_and_gradients(
        self, points: Points, rows: Tensor, made: Made | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        for chunk, groups in self._batches(points, rows, _GRADIENTS_PER_ROW):
            gradients = values = None
            with chunk.guard(), torch.enable_grad():
                at = self._points(points, chunk.rows).detach()
                of = rows[chunk.rows]
                row, row_targets = self._rows_of(at, of, groups)
                if len(row_targets) == len(of):
                    leaf = at.requires_grad_()
                    values, _ = self._forward(leaf, of)
                    found = self._gradient(values, [leaf])[0]
                else:
                    leaf = at[row_targets].requires_grad_()
                    with batched_backward():
                        outputs = self._run_whole(of, leaf, row_targets, row)
                    values, _ = self.target_of(outputs, of)
                    found = self._of_targets(values, outputs, [leaf])[0]
                values = values.detach().double().cpu()
                gradients = self._made(made, chunk.rows, found)
            if gradients is not None:
                yield chunk.rows, values, gradients

    def check_alone(self, rows: Iterable[int]) -> None:
        """Does nothing: the shortest was compared when the space was made."""

    @cached_property
    def input_gradients(self) -> Tensor:
        values, leaves = self._graph
        if not leaves:
            return super().input_gradients
        parts = self._of_targets(values, self._first_outputs, leaves)
        self._forget_graph()
        return self.layout.join(parts).to(self.embeddings.dtype)

    def _forget_graph(self) -> None:
        super()._forget_graph()
        self._first_outputs: Mapping[str, Any] = {}

    @property
    def _model(self) -> SupportsPrefixes:
        assert isinstance(self.model, SupportsPrefixes)
        return self.model

    @cached_property
    def _texts(self) -> list[int]:
        """The text of each instance, by number."""
        groups = group_by_text(self.model, self.instances)
        numbers = {member: text for text, members in enumerate(groups) for member in members}
        return [numbers[member] for member in range(len(numbers))]

    @cached_property
    def _lengths(self) -> Tensor:
        """Tokens of each instance's generated field, `(instances,)`."""
        return get_text_field_mask(self._collated[self._model.generated_field]).sum(-1)

    def _first_pass(
        self, layers: EmbeddingLayers
    ) -> tuple[Mapping[str, Any], list[RecordedCall], list[Tensor]]:
        count = len(self.instances)
        lengths = self._lengths.tolist()
        longest: dict[int, int] = {}
        for number in sorted(range(count), key=lambda n: -lengths[n]):
            longest.setdefault(self._texts[number], number)
        places = {text: row for row, text in enumerate(longest)}
        row = torch.tensor([places[text] for text in self._texts])
        row_instances = torch.tensor(list(longest.values()))
        self.row_instances, self.row_of = row_instances, row
        collated = self._whole(self._own_rows, row_instances, row)
        with batched_backward():
            outputs, calls = record(self._twin, collated, len(row_instances), layers)
        states = outputs["states"]
        if states.dim() != 3 or len(states) != len(row_instances):
            raise NotCausalError
        if any(call.transposed or len(call.leaf) != len(row_instances) for call in calls):
            raise NotCausalError
        # Of the instances with the shortest prefix the shortest, which has the most padding.
        sizes = [_tokens(instance) for instance in self.instances]
        self._check_alone(outputs, min(range(count), key=lambda n: (lengths[n], sizes[n])))
        self._first_outputs = outputs
        copies = [self._copies(call, row) for call in calls]
        return outputs, copies, [call.leaf for call in calls]

    def _copies(self, call: RecordedCall, row: Tensor) -> RecordedCall:
        """A call as it would be for the instances, each limited to its own prefix."""
        field = self._model.generated_field
        if not isinstance(call.origin, TracedCall):
            raise NotCausalError
        origin = call.origin.with_rows(row)
        if field in origin.names:
            generated = origin.fields == origin.names.index(field)
            behind = generated & (origin.tokens >= self._lengths.cpu().unsqueeze(1))
            origin = replace(origin, tokens=torch.where(behind, PADDING, origin.tokens))
        return replace(call, leaf=call.leaf.detach()[row.to(call.leaf.device)], origin=origin)

    def _check_alone(self, outputs: Mapping[str, Any], number: int) -> None:
        """Compares the outputs for one prefix with those for the same prefix alone."""
        with torch.no_grad():
            instance = self.instances[number]
            alone = self.model(**collate([instance], self.vocab, self.device))
        expected, found = alone["logits"][0], outputs["logits"][number].detach()
        kind = expected.device.type
        cast = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if cast else self._twin.dtype
        tolerance = _SAME.get(dtype, 3e-5) * float(expected.abs().max())
        # Numbers that are not finite are reported elsewhere.
        if bool(((expected - found).abs() > tolerance).any()):
            raise NotCausalError

    def _whole(self, targets: Tensor, row_instances: Tensor, row: Tensor) -> dict[str, Any]:
        """The arguments of `forward` for targets that are read in the rows of others."""
        count = len(self.instances)
        collated = {
            name: select_rows(value, row_instances if isinstance(value, dict) else targets, count)
            for name, value in self._collated.items()
        }
        device = self.device
        lengths = self._lengths[targets.to(self._lengths.device)]
        return {**collated, "prefix_targets": PrefixTargets(row.to(device), lengths.to(device))}

    def _run_whole(
        self, targets: Tensor, points: Tensor, row_targets: Tensor, row: Tensor
    ) -> Mapping[str, Any]:
        """The model's outputs for targets, at points `(rows, size)`."""
        collated = self._whole(targets, targets[row_targets], row)
        return run_at(self._twin, self.layout, collated, points)

    def _of_targets(
        self, values: Tensor, outputs: Mapping[str, Any], leaves: list[Tensor]
    ) -> list[Tensor]:
        self._check_differentiable(values)
        at_once = max(self.session.budget.tokens // (len(leaves[0]) * self.tokens_per_row), 1)
        return gradients_of_targets(values, outputs["states"], outputs["places"], leaves, at_once)

    def _batches(
        self, points: Points, rows: Tensor, each: int | None
    ) -> Iterator[tuple[Chunk, list[list[int]]]]:
        """Batches of targets, each with the groups of targets that may share a row; at most `each`
        targets for each row that fits into it, None for any number."""
        self._forget_graph()
        pending = self._groups(points, rows)[::-1]
        most = len(rows)
        while pending:
            slots = self.session.budget.rows(self.tokens_per_row)
            left = most if each is None else min(most, slots * each)
            batch: list[list[int]] = []
            while pending and len(batch) < slots and left:
                group = pending.pop()
                if len(group) > left:
                    pending.append(group[left:])
                    group = group[:left]
                batch.append(group)
                left -= len(group)
            numbers = torch.tensor([number for group in batch for number in group])
            chunk = Chunk(self.session.budget, numbers, self.tokens_per_row)
            yield chunk, batch
            if chunk.failed:
                pending += batch[::-1]
                # Where one row does not fit into memory, it gets fewer targets.
                most = max(len(numbers) // 2, 1)

    def _groups(self, points: Points, rows: Tensor) -> list[list[int]]:
        marks: list[list[int]] = []
        for chunk in torch.arange(len(rows)).split(max(2**24 // self.embeddings.shape[1], 1)):
            marks += self._fingerprints(self._points(points, chunk), rows[chunk]).tolist()
        owners = rows.tolist()
        lengths = self._lengths.tolist()
        return group_prefixes(marks, [self._texts[o] for o in owners], [lengths[o] for o in owners])

    def _fingerprints(self, points: Tensor, rows: Tensor) -> Tensor:
        """Of all prefixes of each point, `(points, longest + 1)`; integers, whose sums are the same
        in any order."""
        device = points.device
        alone = torch.zeros(len(points), 1, dtype=torch.long, device=device)
        longest = int(self._lengths.max())
        generated = torch.zeros(len(points), longest + 1, dtype=torch.long, device=device)
        for number, (part, call) in enumerate(
            zip(self.layout.split(points.contiguous()), self.layout.calls, strict=True)
        ):
            bits = part.contiguous().view(torch.int64 if part.element_size() == 8 else torch.int32)
            generator = torch.Generator().manual_seed(number)
            factors = torch.randint(2**62, part.shape[1:], generator=generator).to(device)
            marks = (bits.long() * factors).sum(-1)
            tokens = self.layout.tokens[:, self.layout.positions_of(number)]
            grows = call.tokens_of(self._model.generated_field) >= 0
            # The token at place n is part of all prefixes of more than n tokens.
            places = torch.where(grows, tokens + 1, 0)[rows].to(device)
            generated.scatter_add_(1, places, torch.where(places > 0, marks, 0))
            rest = (~grows & (tokens != PADDING))[rows].to(device)
            alone = alone + (marks * rest).sum(-1, keepdim=True)
        return alone + generated.cumsum(-1)

    def _rows_of(
        self, points: Tensor, targets: Tensor, groups: list[list[int]]
    ) -> tuple[Tensor, Tensor]:
        """The row that each target is read in, `(targets,)`, and the target whose point each row
        holds, `(rows,)`. A point whose fingerprint matches but which differs gets its own row."""
        row_targets, first = [], []
        start = 0
        for group in groups:
            row_targets.append(start)
            first += [start] * len(group)
            start += len(group)
        present = self.layout.expand(self.layout.present[targets].to(points.device))
        same = ((points == points[torch.tensor(first)]) | ~present).all(-1).tolist()
        row_targets += [number for number, is_same in enumerate(same) if not is_same]
        row = {head: number for number, head in enumerate(row_targets)}
        own = [
            head if is_same else number
            for number, (head, is_same) in enumerate(zip(first, same, strict=True))
        ]
        return torch.tensor([row[head] for head in own]), torch.tensor(row_targets)
