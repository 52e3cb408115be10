"""The target of instances that are no copies of a space's own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from allennlp.data import Instance
from torch import Tensor

from ..inputs.collation import collate
from ..inputs.texts import text_items
from .embedding_space import EmbeddingSpace


def values_of(space: EmbeddingSpace, instances: Sequence[Instance], rows: Tensor) -> Tensor:
    """The target of other instances, forward only.

    Instances of one shape share a batch, so that no padding takes part.

    Args:
        space: The instances that carry the labels which are explained, and the model.
        instances: Other instances with the same labels, token indexers applied.
        rows: The instance of the space that each stands in for, `(rows,)`.

    Returns:
        `(rows,)`, float64, on the CPU.
    """
    for one in instances:
        one.index_fields(space.vocab)
    values = torch.empty(len(instances), dtype=torch.float64)
    lengths = [_tokens(one) for one in instances]
    shapes = [str(one.get_padding_lengths()) for one in instances]
    for group in space.session.budget.groups(lengths, 1, shapes):
        numbers = torch.tensor(group)
        for chunk in space.session.budget.chunks(len(group), max(lengths[group[0]], 1)):
            with chunk.guard(), torch.no_grad():
                own = numbers[chunk.rows]
                found, entangled = _forward(space, instances, rows, own)
                if entangled:
                    each = [_forward(space, instances, rows, one)[0] for one in own.split(1)]
                    found = torch.cat(each)
                values[own] = found.double().cpu()
    return values


def _forward(
    space: EmbeddingSpace, instances: Sequence[Instance], rows: Tensor, numbers: Tensor
) -> tuple[Tensor, bool]:
    chosen = [instances[number] for number in numbers.tolist()]
    outputs = space.model(**collate(chosen, space.vocab, space.device))
    return space.target_of(outputs, rows[numbers])


def _tokens(instance: Instance) -> int:
    """Padded positions that an instance's text fields take."""
    return sum(
        len(item.text.tokens) for field in instance.fields.values() for item in text_items(field)
    )
