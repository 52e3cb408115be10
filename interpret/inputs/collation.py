"""Labelled instances as the tensors that a model takes, and copies of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.batch import Batch
from allennlp.nn.util import move_to_device
from torch import Tensor

from ..errors import InterpretationError


def collate(
    instances: Sequence[Instance], vocab: Vocabulary, device: torch.device
) -> dict[str, Any]:
    """Indexes the instances and pads them to one batch.

    Args:
        instances: Instances whose token indexers are applied.
        vocab: The model's vocabulary.
        device: Where the model is.

    Returns:
        Field name to tensors whose first dimension is `len(instances)`, or to lists that long.

    Raises:
        InterpretationError: If the instances do not fit one batch.
    """
    batch = Batch(instances)
    batch.index_instances(vocab)
    try:
        return move_to_device(batch.as_tensor_dict(), device)
    except ValueError as error:
        raise InterpretationError(f"the instances cannot share a batch: {error}") from error


def select_rows(collated: Any, rows: Tensor, count: int) -> Any:
    """Copies of some instances, as a batch.

    Args:
        collated: The result of `collate` for `count` instances.
        rows: The instance that each row of the new batch copies, `(rows,)`.
        count: How many instances there are. Values of another length (a flag for the
            whole batch) are kept.
    """
    if isinstance(collated, Tensor):
        if collated.dim() and collated.shape[0] == count:
            return collated.index_select(0, rows.to(collated.device))
        return collated
    if isinstance(collated, dict):
        return {key: select_rows(value, rows, count) for key, value in collated.items()}
    if isinstance(collated, (list, tuple)) and len(collated) == count:
        return [collated[row] for row in rows.tolist()]
    return collated
