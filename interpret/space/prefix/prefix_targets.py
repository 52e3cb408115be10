"""Targets that are read in one row: the points that may share one, and gradients of many targets.

The outputs of a causal language model for a prefix do not depend on what comes after it, so one
row that holds the whole text gives the targets of all its prefixes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...operations.calls import CallMode
from ...operations.decompositions import attention
from ..packing import out_of_memory


def group_prefixes(
    fingerprints: Sequence[Sequence[int]], texts: Sequence[int], lengths: Sequence[int]
) -> list[list[int]]:
    """Finds the targets whose points look like prefixes of the same point.

    Args:
        fingerprints: Of each target's point: of all its prefixes, `(longest + 1,)` each.
        texts: The text of each target.
        lengths: Tokens of each target's generated field.

    Returns:
        Numbers of targets, in each list the longest first.
    """
    groups: list[list[int]] = []
    known: dict[tuple[int, int, int], list[int]] = {}
    for number in sorted(range(len(texts)), key=lambda n: (texts[n], -lengths[n], n)):
        text, length, marks = texts[number], lengths[number], fingerprints[number]
        group = known.get((text, length, marks[length]))
        if group is None:
            group = []
            groups.append(group)
            for shorter in range(length + 1):
                known.setdefault((text, shorter, marks[shorter]), group)
        group.append(number)
    return groups


def gradients_of_targets(
    values: Tensor,
    states: Tensor,
    places: tuple[Tensor, Tensor],
    leaves: Sequence[Tensor],
    at_once: int,
) -> list[Tensor]:
    """∂ value_t / ∂ leaf for every target t, without a backward pass for each.

    Targets of different rows share a pass, as they do not depend on each other's rows; the passes
    of the same row's targets are batched.

    Args:
        values: The targets, `(targets,)`.
        states: What they are computed from, `(rows, places, dim)`.
        places: The row and the place in it that each target is computed from, `(targets,)` each.
        leaves: Embeddings, `(rows, …)` each.
        at_once: How many passes are batched at most.

    Returns:
        Per leaf `(targets, …)`.
    """
    row, place = places
    at_states = _at_own_states(values, states, places)
    turn = _occurrence(row.tolist()).to(row.device)
    found = [leaf.new_zeros(len(values), *leaf.shape[1:]) for leaf in leaves]
    for start in range(0, int(turn.max()) + 1, at_once):
        own = (turn >= start) & (turn < start + at_once)
        slot = turn[own] - start
        directions = states.new_zeros(int(slot.max()) + 1, *states.shape)
        directions[slot, row[own], place[own]] = at_states[own]
        for whole, gradient in zip(found, vjps(states, leaves, directions), strict=True):
            whole[own] = gradient[slot, row[own]]
    return found


def _at_own_states(values: Tensor, states: Tensor, places: tuple[Tensor, Tensor]) -> Tensor:
    """∂ value_t / ∂ state of t, `(targets, dim)`."""
    row, place = places
    # Targets that are read at the same place (two labels of one token) must not be added up.
    turn = _occurrence(list(zip(row.tolist(), place.tolist(), strict=True))).to(values.device)
    found = states.new_zeros(len(values), states.shape[-1])
    for number in range(int(turn.max()) + 1):
        own = turn == number
        (gradient,) = torch.autograd.grad(values[own].sum(), states, retain_graph=True)
        found[own] = gradient[row[own], place[own]]
    return found


def _occurrence(keys: Sequence[Hashable]) -> Tensor:
    """Of each entry, how many of the same came before it, `(entries,)`."""
    seen: dict[Hashable, int] = {}
    turns = []
    for key in keys:
        turns.append(seen.get(key, 0))
        seen[key] = turns[-1] + 1
    return torch.tensor(turns, dtype=torch.long)


@contextmanager
def batched_backward() -> Iterator[None]:
    """A forward pass whose backward pass can be run for many gradients at once.

    The fused kernels for attention have no such backward pass, so attention is computed step by
    step.
    """
    with _BatchedBackward():
        yield


def vjps(states: Tensor, leaves: Sequence[Tensor], directions: Tensor) -> list[Tensor]:
    """directionᵀ · ∂ states / ∂ leaf for several directions.

    Args:
        states: A result of a `batched_backward` pass, whose graph is kept.
        leaves: Leaves of the graph.
        directions: `(directions, *states.shape)`.

    Returns:
        Per leaf `(directions, *leaf.shape)`.
    """
    grad = partial(
        torch.autograd.grad, states, list(leaves), retain_graph=True, materialize_grads=True
    )
    if len(directions) == 1:
        return [one.unsqueeze(0) for one in grad(directions[0])]
    try:
        # Not `is_grads_batched`, in which custom autograd functions take no part.
        return list(torch.vmap(grad)(directions))
    except RuntimeError as error:
        if out_of_memory(error):
            raise
    # An operation that cannot be differentiated for many gradients at once.
    return [torch.stack(column) for column in zip(*map(grad, directions), strict=True)]


class _BatchedBackward(CallMode):
    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        own = attention if func is F.scaled_dot_product_attention else func
        return own(*args, **kwargs)
