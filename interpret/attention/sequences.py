"""Whose the positions are that an attention sees: which token of which input stands at each.

A model may join its texts, leave padding out, put them the other way round or shift them by one
before its first attention. What became of an embedding is asked of the model itself: the states
at a position depend on the embedding of its own token alone, so derivatives in the direction of
numbered embeddings give the numbers back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..errors import InterpretationError
from ..space.layout import Layout
from .recorder import AttentionCall

# Digits are small, so that they come back from half precision.
_BASE = 16
_NEARLY = 0.2


@dataclass(frozen=True)
class Sequences:
    """The sequences that a run of a model's blocks works on.

    Attributes:
        layout: The positions of the instances' embeddings.
        rows: The instance that each sequence is of, `(sequences,)`.
        sources: For each position of a sequence the position of its instance's embeddings that
            stands there, -1 for none, `(sequences, positions)`.
    """

    layout: Layout
    rows: Tensor
    sources: Tensor

    @cached_property
    def real(self) -> Tensor:
        """Which positions hold something, `(sequences, positions)`; none of a sequence that is
        only there because another instance has more of them."""
        mapped = self.sources >= 0
        present = mapped & self._of_sources(self.layout.present, False)
        numbers = torch.arange(self.sources.shape[1])
        last = torch.where(present, numbers, -1).amax(1, keepdim=True)
        # What a model puts before, or in between, is no token, but it is there.
        real = present | (~mapped & ((numbers < last) | ~mapped.any(1, keepdim=True)))
        return real & self._own(present).unsqueeze(1)

    def _own(self, present: Tensor) -> Tensor:
        """Which sequences have a token that no other sequence of their instance has, or are the
        only one."""
        width = self.layout.tokens.shape[1]
        seen = torch.zeros(len(self.layout.tokens), width + 1, dtype=torch.long)
        rows = self.rows.unsqueeze(1).expand_as(self.sources)
        seen.index_put_((rows, self.sources), (self.sources >= 0).long(), accumulate=True)
        alone = torch.bincount(self.rows, minlength=len(seen))[self.rows] == 1
        return alone | (present & (seen[rows, self.sources] == 1)).any(1)

    def _of_sources(self, per_position: Tensor, otherwise: int | bool) -> Tensor:
        """What is known of the embeddings' positions, at the positions of the sequences."""
        known = per_position[self.rows.unsqueeze(1), self.sources.clamp_min(0)]
        return torch.where(self.sources >= 0, known, otherwise)

    @cached_property
    def tokens(self) -> Tensor:
        """A number for each position that its token has for itself, -1 for none; in the order of
        the text fields, `(sequences, positions)`."""
        numbers = torch.full_like(self.layout.tokens, -1)
        first = 0
        for name in self.layout.names:
            tokens = self.layout.tokens_of(name)
            numbers = torch.where(tokens >= 0, tokens + first, numbers)
            first = int(numbers.max()) + 1
        return self._of_sources(numbers, -1)

    def at_tokens(self, field: str, wanted: Sequence[Sequence[int]]) -> Tensor:
        """Which positions hold some of the tokens of a field, given per instance, `(sequences,
        positions)`."""
        tokens = self.layout.tokens_of(field)
        where = torch.zeros(tokens.shape, dtype=torch.bool)
        for row, some in enumerate(wanted):
            where[row] = torch.isin(tokens[row], torch.tensor(list(some)))
        return self._of_sources(where, False)

    def spread(self, scores: Tensor) -> Tensor:
        """Adds up, `(sequences, positions)`, at the positions of the instances' embeddings."""
        width = self.layout.tokens.shape[1]
        total = torch.zeros(len(self.layout.tokens), width + 1, dtype=scores.dtype)
        rows = self.rows.unsqueeze(1).expand_as(self.sources)
        total.index_put_((rows, self.sources), scores.cpu(), accumulate=True)
        # Last stands what no embedding has.
        return total[:, :width]


@dataclass(frozen=True)
class PositionTrace:
    """Traces the positions of a run of a model's blocks back to the embeddings.

    Attributes:
        layout: The positions of the instances' embeddings.
        leaves: What the embedding layers returned, as the graph begins there.
        row_instances: The instance that each row of the pass held, `(rows,)`.
    """

    layout: Layout
    leaves: Sequence[Tensor]
    row_instances: Tensor

    def sequences(self, call: AttentionCall, number: int) -> Sequences:
        """The sequences of a run.

        Args:
            call: The first attention of the run to itself.
            number: Which of the model's runs it is.

        Raises:
            InterpretationError: If its states do not depend on the embeddings position by
                position, and nothing else tells whose they are.
        """
        width, count = self.layout.tokens.shape[1], len(self.row_instances)
        numbers = self._numbers(call.given) if call.given.requires_grad else None
        if numbers is not None:
            sequences = len(call.made)
            for ids in (numbers, numbers.T) if not call.transposed else (numbers.T,):
                rows = torch.where(ids >= 0, ids.div(width, rounding_mode="floor"), -1)
                first = rows.amax(1)
                if len(ids) == sequences and bool(((rows == first[:, None]) | (rows < 0)).all()):
                    by_place = torch.arange(sequences) // max(sequences // count, 1)
                    instances = self.row_instances[torch.where(first >= 0, first, by_place)]
                    return Sequences(self.layout, instances, torch.where(ids >= 0, ids % width, -1))
        return self._by_shape(call, number)

    def _numbers(self, given: Tensor) -> Tensor | None:
        """Which embedding's number comes back at each of some states, -1 for none; None where they
        are no numbers."""
        width, count = self.layout.tokens.shape[1], len(self.row_instances)
        ids = torch.arange(count * width).view(count, width)
        with torch.enable_grad():
            # The derivative of a derivative is one forwards, of what is linear in the first.
            weights = torch.zeros_like(given, requires_grad=True)
            backward = torch.autograd.grad(
                given, list(self.leaves), weights, create_graph=True, allow_unused=True
            )
        generator = torch.Generator().manual_seed(0)
        used = []
        for place, (call, leaf) in enumerate(zip(self.layout.calls, self.leaves, strict=True)):
            direction = torch.randn(leaf.shape[-1], generator=generator)
            gradient = backward[place]
            if gradient is not None and gradient.requires_grad:
                own = ids[:, self.layout.positions_of(place)]
                own = own.unsqueeze(-1).expand(-1, -1, leaf.shape[-1])
                codes = call.from_rows(own)
                used.append((gradient, codes.to(leaf.device), direction.to(leaf)))
        if not used:
            return None

        def forward(digit: int | None) -> Tensor:
            directions = [
                (codes * 0 + 1 if digit is None else codes // digit % _BASE).to(direction.dtype)
                * direction
                for _, codes, direction in used
            ]
            (along,) = torch.autograd.grad(
                [gradient for gradient, *_ in used], weights, directions, retain_graph=True
            )
            return along.double().cpu()

        one = forward(None)
        size = (one * one).sum(-1)
        there = size > 0
        found = torch.zeros(size.shape, dtype=torch.long)
        digit = 1
        while digit < count * width:
            along = forward(digit)
            share = (along * one).sum(-1) / size.clamp_min(torch.finfo(size.dtype).tiny)
            rest = (along - share.unsqueeze(-1) * one).norm(dim=-1)
            off = (share - share.round()).abs().maximum(rest / size.sqrt().clamp_min(1e-300))
            if bool((off[there] > _NEARLY).any()):
                return None
            found += share.round().long() * digit
            digit *= _BASE
        return torch.where(there, found, -1)

    def _by_shape(self, call: AttentionCall, number: int) -> Sequences:
        """Position for position, where states and embeddings have the same places."""
        given = call.given.transpose(0, 1) if call.transposed else call.given
        count = len(self.row_instances)
        alike = []
        for place, one in enumerate(self.layout.calls):
            batch, positions = one.shape[1::-1] if one.transposed else one.shape[:2]
            per_row = batch // len(self.layout.tokens)
            if (per_row * count, positions) == tuple(given.shape[:2]):
                alike.append(place)
        if len(alike) > 1 and len(alike) == len(self.layout.calls):
            alike = alike[number : number + 1]
        if len(alike) != 1:
            raise InterpretationError(
                f"cannot tell which token stands where in {type(call.frame.module).__name__}: it "
                f"was given states of shape {tuple(call.given.shape)}, which depend on the "
                "embeddings of several tokens each; use a gradient method, such as "
                "'integrated-gradients'"
            )
        part = self.layout.positions_of(alike[0])
        sources = torch.arange(part.start, part.stop).expand(count, -1).reshape(given.shape[:2])
        per_row = given.shape[0] // count
        return Sequences(self.layout, self.row_instances.repeat_interleave(per_row), sources)
