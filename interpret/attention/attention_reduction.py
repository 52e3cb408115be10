"""From the attention of many layers and heads to one matrix, and from that to a score per token;
and the matrices of all of them, as an explanation takes them along."""

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

from ..errors import InterpretationError, SettingError
from ..explanation import AttentionMatrix
from .attention_space import AttentionSpace, Stack
from .recorder import ENCODER
from .sequences import Sequences

REDUCTIONS = ("mean", "max", "sum")
QUERIES = ("mean", "sum", "first", "last")


def reduced(values: Tensor, how: str | int, dim: int, name: str) -> Tensor:
    """A dimension of layers or heads as one value, or as one of them.

    Raises:
        SettingError: If there is no such layer or head.
    """
    if isinstance(how, int):
        count = values.shape[dim]
        if not -count <= how < count:
            raise SettingError(
                f"the model has {count} {name}s, so there is no {name} {how}; count from 0, or "
                "from the last with -1"
            )
        return values.select(dim, how)
    return values.amax(dim) if how == "max" else getattr(values, how)(dim)


def between_real(values: Tensor, stack: Stack) -> Tensor:
    """Zero where a query or a key is padding, `(…, sequences, …, queries, keys)`.

    Args:
        values: `(layers, sequences, heads, queries, keys)`, or without heads.
        stack: Whose they are.
    """
    there = stack.queries.real.unsqueeze(2) & stack.keys.real.unsqueeze(1)
    there = (there.unsqueeze(1) if values.dim() == 5 else there).to(values.device)
    return torch.where(there, values, torch.zeros((), dtype=values.dtype, device=values.device))


def _query_weights(
    space: AttentionSpace, sequences: Sequences, kind: str, query: str | int | None
) -> Tensor:
    """How much each position counts that looks, `(sequences, positions)`; of an instance they add
    up to 1, but for "sum". None stands for the tokens whose labels are explained, and where there
    are none for the last in a decoder, else for the mean."""
    real = sequences.real
    if isinstance(query, int):
        chosen = _numbered(sequences, query)
        missing = set(range(len(space.instances))) - set(sequences.rows[chosen.any(1)].tolist())
        if missing:
            raise InterpretationError(
                f"there is no token {query} to look from in a text of "
                f"{_most_tokens(sequences, min(missing))}; count from 0, or from the last with -1"
            )
    elif query is None:
        chosen = torch.zeros_like(real)
        for field, tokens in space.explained.items():
            chosen |= sequences.at_tokens(field, tokens) & real
        rest = _first_or_last(real, first=False) if kind != ENCODER else real
        found = torch.zeros(len(space.instances), dtype=torch.bool)
        found[sequences.rows[chosen.any(1)]] = True
        chosen = torch.where(found[sequences.rows].unsqueeze(1), chosen, rest)
    elif query in ("first", "last"):
        chosen = _first_or_last(real, query == "first")
    else:
        chosen = real
    weights = chosen.double()
    if query == "sum":
        return weights
    weights = weights / weights.sum(1, keepdim=True).clamp_min(1)
    # An instance may have several sequences: the choices of a question, segments of a long text.
    counts = torch.zeros(len(space.instances), dtype=torch.double)
    counts.index_add_(0, sequences.rows, chosen.any(1).double())
    return weights / counts[sequences.rows].clamp_min(1).unsqueeze(1)


def _first_or_last(real: Tensor, first: bool) -> Tensor:
    numbers = torch.arange(real.shape[1]).expand_as(real)
    if first:
        return real & (numbers == torch.where(real, numbers, real.shape[1]).amin(1, keepdim=True))
    return real & (numbers == torch.where(real, numbers, -1).amax(1, keepdim=True))


def _numbered(sequences: Sequences, query: int) -> Tensor:
    """The positions of the n-th token of each sequence, as they stand there."""
    chosen = torch.zeros_like(sequences.real)
    for row, tokens in enumerate(torch.where(sequences.real, sequences.tokens, -1)):
        known = list(dict.fromkeys(token for token in tokens.tolist() if token >= 0))
        if -len(known) <= query < len(known):
            chosen[row] = tokens == known[query]
    return chosen


def _most_tokens(sequences: Sequences, row: int) -> int:
    tokens = torch.where(sequences.real, sequences.tokens, -1)[sequences.rows == row]
    return max((len(set(own.tolist()) - {-1}) for own in tokens), default=0)


def token_scores(
    space: AttentionSpace, stack: Stack, matrix: Tensor, query: str | int | None
) -> Tensor:
    """score_k = Σ q_i M_ik, at the positions of the instances' embeddings.

    Args:
        space: The instances.
        stack: Whose matrix it is.
        matrix: M, `(sequences, queries, keys)`.
        query: "mean", "sum", "first", "last", the number of a token, or None; see `_query_weights`.

    Returns:
        `(instances, positions)`.
    """
    reading = space.reading(stack)
    weights = _query_weights(space, reading.queries, stack.kind, query)
    values = matrix.double().cpu()
    scores = torch.empty(len(weights), values.shape[-1], dtype=torch.double)
    for number, own in enumerate(values):
        scores[reading.made == number] = weights[reading.made == number] @ own
    return reading.keys.spread(torch.where(reading.keys.real, scores, 0.0))


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
