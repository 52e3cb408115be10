"""One transformer block, run again on the input that it had, with values of keys set to zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..errors import InterpretationError
from ..model.hooks import disable_fastpath
from ..nested import mapped
from ..space.embedding_space import EmbeddingSpace
from .attention_mode import AttentionMode
from .recorder import AttentionCall, Frame, first_tensor

_SAME = 1e-3


class Rerun:
    """The block that an attention is part of.

    Copies of sequences share a batch where the block's inputs say by their shapes which of them
    are the sequences'; that is tried out once, with the sequences in another order. Where it does
    not hold (XLNet counts the sequences second), a batch is what it was, and 26 tokens of bert-base
    take 1.76 times as long.

    Args:
        call: The attention.
        closed: Whether the states of the last block are those after the normalization that its
            stack ends with.

    Raises:
        InterpretationError: If the attention is in no block, or that does not give the same states
            again.
    """

    def __init__(self, call: AttentionCall, closed: bool = False) -> None:
        if call.block is None:
            raise InterpretationError(
                f"{type(call.frame.module).__name__} is in no list of blocks, so there is no layer "
                "to run again; use 'attention' or 'attention-x-gradient'"
            )
        self._call = call
        self._block: Frame = call.block
        self._count = len(call.made)
        self._closing = self._block.closing if closed else None
        self._packed = not call.transposed and self._can_be_packed()

    def states(self) -> Tensor:
        """What the block returned, `(sequences, positions, dim)`."""
        states = self._block.states
        assert states is not None
        with torch.no_grad():
            states = self._closed(states.detach())
        return states.transpose(0, 1) if self._call.transposed else states

    def _closed(self, states: Tensor) -> Tensor:
        return states if self._closing is None else self._closing(states)

    def without(
        self, space: EmbeddingSpace, sequences: Tensor, keys: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """What the block returns for sequences that each have a value of zero at a key.

        Args:
            space: Says how much goes through the model at once.
            sequences: Which of the block's sequences, `(rows,)`.
            keys: The key of each, `(rows,)`.

        Yields:
            The numbers of the rows in a batch, `(chunk,)`, and their states, `(chunk, positions,
            dim)`.
        """
        if not self._packed:
            for key in keys.unique():
                rows = (keys == key).nonzero().flatten()
                every = torch.full((self._count,), -1)
                every[sequences[rows]] = key
                states = self._run(None, every)
                states = states.transpose(0, 1) if self._call.transposed else states
                yield rows, states[sequences[rows].to(states.device)]
            return
        for chunk in space.batches(sequences):
            found: Tensor | None = None
            with chunk.guard():
                found = self._run(sequences[chunk.rows], keys[chunk.rows])
            if found is not None:
                yield chunk.rows, found

    def _can_be_packed(self) -> bool:
        order = torch.tensor([self._count - 1, 0])
        try:
            states = self._run(order, torch.full((len(order),), -1))
        except (RuntimeError, ValueError, TypeError, IndexError):
            return False
        expected = self.states()[order.to(states.device)]
        if states.shape != expected.shape:
            return False
        size = expected.float().abs().max()
        return bool((states - expected).float().abs().max() <= _SAME * (1 + size))

    def _run(self, sequences: Tensor | None, keys: Tensor) -> Tensor:
        """The block's states; no value is zero where a key is -1."""
        seen = 0

        def zero(weights: Tensor) -> Tensor:
            nonlocal seen
            seen += 1
            if seen != self._call.place + 1:
                return weights
            numbers = torch.arange(weights.shape[-1])
            kept = (numbers != keys.unsqueeze(1)).to(weights)
            return weights * kept[:, None, None, :]

        args, kwargs = self._block.args, self._block.kwargs
        if sequences is not None:
            args, kwargs = mapped((args, kwargs), lambda one: self._copy(one, sequences))
        with torch.no_grad(), disable_fastpath(self._block.module), AttentionMode(zero):
            states = first_tensor(self._block.module(*_cacheless(args), **_cacheless(kwargs)))
            states = None if states is None else self._closed(states)
        if states is None or seen <= self._call.place:
            raise InterpretationError(
                f"{type(self._block.module).__name__} does not compute its attention when it is "
                "run by itself; use 'attention' or 'attention-x-gradient'"
            )
        return states

    def _copy(self, value: Tensor, sequences: Tensor) -> Tensor:
        # What is the same for all is left as it is.
        alone = self._count == 1 and not (value.dim() == 3 and value.is_floating_point())
        if alone or not value.dim() or len(value) != self._count:
            return value.detach()
        return value.detach().index_select(0, sequences.to(value.device))


def _cacheless(given: Any) -> Any:
    """Arguments without the keys and values of an earlier pass, which a block would add to."""

    def kept(value: Any) -> Any:
        cache = callable(getattr(value, "update", None)) and hasattr(value, "get_seq_length")
        return None if cache else value

    if isinstance(given, dict):
        return {key: kept(value) for key, value in given.items()}
    return tuple(map(kept, given))
