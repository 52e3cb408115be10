"""Instances whose inputs are prefixes of one text.

The outputs of a causal language model for a prefix do not depend on what comes after it, so one
row that holds the whole text gives the targets of all its prefixes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from allennlp.data import Instance
from allennlp.models import Model
from torch import Tensor

from ...contracts import SupportsPrefixes
from .batched_backward import vjps


def group_by_text(model: Model, instances: Sequence[Instance]) -> list[list[int]]:
    """Groups the numbers of instances by text; an instance that belongs to no text is alone."""
    together: dict[Hashable, list[int]] = {}
    for number, instance in enumerate(instances):
        text = model.whole_text(instance) if isinstance(model, SupportsPrefixes) else None
        together.setdefault(("alone", number) if text is None else text, []).append(number)
    return list(together.values())


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
