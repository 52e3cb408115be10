"""The matrices of all layers and heads, as an explanation takes them along."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..explanation import AttentionMatrix
from .attention_space import AttentionSpace, Stack
from .sequences import Sequences


def matrices_of(
    space: AttentionSpace, stacks: Sequence[tuple[Stack, Tensor]]
) -> list[list[AttentionMatrix]]:
    """Per instance one for each kind of attention and each sequence that the model made of it.

    Args:
        space: The instances.
        stacks: Kinds of attention, each with its matrices, `(layers, sequences, heads, queries,
            keys)` or without heads.
    """
    found: list[list[AttentionMatrix]] = [[] for _ in space.instances]
    labels = [space.label_of_positions(row) for row in range(len(space.instances))]
    for stack, full in stacks:
        reading = space.reading(stack)
        for sequence, row in enumerate(reading.queries.rows.tolist()):
            queries, keys = (one.real[sequence] for one in (reading.queries, reading.keys))
            if not bool(queries.any()):
                continue
            own = full[:, reading.made[sequence]].detach().float().cpu()[..., queries, :][..., keys]
            heads = ["head"] if own.dim() == 4 else []
            found[row].append(
                AttentionMatrix(
                    kind=stack.kind,
                    axes=["layer", *heads, "query", "key"],
                    queries=_labels(reading.queries, sequence, queries, labels[row]),
                    keys=_labels(reading.keys, sequence, keys, labels[row]),
                    values=own.numpy(),
                )
            )
    return found


def written(matrices: list[AttentionMatrix], folder: str) -> list[AttentionMatrix]:
    """Writes the matrices of an explanation to a file in a folder.

    The file is named after what is in it; besides an array per matrix (`matrix_1`) it has the
    labels of its queries and keys (`matrix_1_queries`, `matrix_1_keys`).

    Args:
        matrices: The matrices.
        folder: The folder; it is made if it is not there.

    Returns:
        The same, with the name of the file in the place of the numbers.
    """
    if not matrices:
        return []
    arrays: dict[str, np.ndarray] = {}
    mark = hashlib.sha256()
    for number, one in enumerate(matrices, start=1):
        named = {
            f"matrix_{number}": one.numpy(),
            f"matrix_{number}_queries": np.array(one.queries, dtype=np.str_),
            f"matrix_{number}_keys": np.array(one.keys, dtype=np.str_),
        }
        arrays |= named
        mark.update(repr((one.kind, one.axes, one.queries, one.keys)).encode())
        mark.update(named[f"matrix_{number}"].tobytes())
    Path(folder).mkdir(parents=True, exist_ok=True)
    name = Path(folder) / f"{mark.hexdigest()[:24]}.npz"
    # The file appears with all of its content, or not at all.
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(file.name, name)
    return [
        replace(one, values=None, file=name.as_posix(), array=f"matrix_{number}")
        for number, one in enumerate(matrices, start=1)
    ]


def _labels(sequences: Sequences, sequence: int, real: Tensor, labels: Sequence[str]) -> list[str]:
    sources = torch.masked_select(sequences.sources[sequence], real).tolist()
    return [labels[source] if source >= 0 else "" for source in sources]
