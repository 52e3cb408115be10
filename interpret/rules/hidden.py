"""What a model computes out of autograd's sight, as a part of the graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from ..nested import mapped
from ..operations.calls import attach_function
from .gates import made_by_gate


class Hidden:
    """Results of operations on the embeddings that ran without gradients, and the same results
    with a graph.

    A function of `torch.autograd.Function` computes without gradients and has a backward pass of
    its own, which knows no rule. Its operations are seen one by one, though: each is computed with
    a graph, the function is given the result without, and when the result is used again the one
    with the graph takes its place. So the rules go through such a function as through any code.

    Attributes:
        unknown: Names of such functions of whose inside nothing was seen.
    """

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self._graphs: dict[int, tuple[Tensor, Tensor]] = {}
        self._outside: dict[int, Tensor] = {}
        self._places: dict[tuple[int, torch.Size], Tensor] = {}

    def hide(self, result: Any) -> Any:
        """A result as it is without gradients; how it came about is remembered."""
        return mapped(result, self._hidden)

    def _hidden(self, value: Tensor) -> Tensor:
        if not value.requires_grad:
            return value
        if id(value) in self._outside:
            # Changed in place.
            return self._outside[id(value)]
        outside = value.detach()
        # Both are kept: neither the identity nor the place of one is given to another tensor.
        self._graphs[id(outside)] = outside, value
        self._outside[id(value)] = outside
        self._places[value.data_ptr(), value.shape] = value
        return outside

    def revealed(self, value: Any) -> Any:
        """Arguments, with those that were hidden as they are with their graph."""
        return mapped(value, self._revealed)

    def _revealed(self, value: Tensor) -> Tensor:
        if id(value) in self._graphs:
            return self._graphs[id(value)][1]
        made_by = value.grad_fn
        if isinstance(made_by, BackwardCFunction) and not (
            attach_function(made_by) or made_by_gate(made_by)
        ):
            # What a function of its own returns is another object in the same place.
            inside = self._places.get((value.data_ptr(), value.shape))
            if inside is not None:
                return inside
            self.unknown.add(type(made_by).__name__.removesuffix("Backward"))
        return value
