"""How many rows share a batch.

Rows of about the same length share a batch, batches are filled up to a budget of padded tokens,
and when memory runs out the budget is halved and the failed batch is run again in halves.
"""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

_DEFAULT_TOKENS = {"cpu": 1024, "cuda": 16384}
_PADDING_SHARE = 0.1


class TokenBudget:
    """A number of padded tokens, halved whenever it proves too many.

    Args:
        tokens: Padded tokens in a batch at most; a single row may be longer.
        single: Whether the model takes one row at a time.

    Raises:
        ValueError: If `tokens` is not positive.
    """

    def __init__(self, tokens: int = _DEFAULT_TOKENS["cpu"], single: bool = False) -> None:
        if tokens < 1:
            raise ValueError(f"a token budget must be positive, not {tokens}")
        self.tokens = tokens
        self.single = single

    @classmethod
    def default(cls, device: torch.device) -> TokenBudget:
        """A budget that keeps a device busy."""
        return cls(_DEFAULT_TOKENS.get(device.type, _DEFAULT_TOKENS["cpu"]))

    def chunks(self, rows: int, tokens_per_row: int) -> Iterator[Chunk]:
        """Row numbers, batch by batch; a batch that ran out of memory in its guard is repeated in
        halves."""
        start = 0
        while start < rows:
            size = self.rows(tokens_per_row)
            chunk = Chunk(self, torch.arange(start, min(start + size, rows)), tokens_per_row)
            yield chunk
            start += 0 if chunk.failed else len(chunk.rows)

    def rows(self, tokens_per_row: int) -> int:
        """How many rows fit into a batch; at least one."""
        return 1 if self.single else max(self.tokens // tokens_per_row, 1)

    def groups(
        self,
        lengths: Sequence[int],
        n_evaluations: int,
        shapes: Sequence[Hashable] | None = None,
        padding: float = _PADDING_SHARE,
    ) -> list[list[int]]:
        """Instances to collate together: of about the same length, as many as fill the budget.

        Args:
            lengths: Tokens of each instance.
            n_evaluations: How many copies of each instance a method evaluates.
            shapes: The shape of each instance, where only instances of one shape may share a batch.
            padding: The share of a batch that may be padding.

        Returns:
            Numbers of the instances in each group, shorter ones first.
        """
        groups: list[list[int]] = []
        filled = 0
        shapes = [None] * len(lengths) if shapes is None else shapes
        for number in sorted(range(len(lengths)), key=lambda i: (lengths[i], str(shapes[i]))):
            length = max(lengths[number], 1)
            alike = bool(groups) and shapes[groups[-1][0]] == shapes[number]
            if alike and self._fits(groups[-1], filled, length, n_evaluations, padding):
                groups[-1].append(number)
                filled += length
            else:
                groups.append([number])
                filled = length
        return groups

    def passes(
        self, groups: Iterable[Sequence[int]], lengths: Sequence[int], n_evaluations: int
    ) -> int:
        """About how many forward passes a method takes for instances that are collated so.

        Args:
            groups: What `groups` returns.
            lengths: Tokens of each instance.
            n_evaluations: How many copies of each instance a method evaluates.
        """
        found = 0
        for group in groups:
            fitting = self.rows(max(1, *(lengths[number] for number in group)))
            # One more records the input.
            found += 1 + math.ceil(len(group) * n_evaluations / fitting)
        return found

    def _fits(self, group: list[int], filled: int, length: int, rows: int, padding: float) -> bool:
        padded = (len(group) + 1) * length
        little_padding = filled + length >= (1 - padding) * padded
        return not self.single and padded * rows <= self.tokens and little_padding


class Chunk:
    """Rows for one batch.

    Attributes:
        rows: Row numbers, `(chunk,)`.
        failed: Whether the batch did not fit into memory.
    """

    def __init__(self, budget: TokenBudget, rows: Tensor, tokens_per_row: int) -> None:
        self.rows = rows
        self.failed = False
        self._budget = budget
        self._tokens = len(rows) * tokens_per_row

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Runs the batch. Running out of memory marks it as failed and halves the budget; any other
        error of a batch of several rows sets the budget to one row at a time, which some models
        need.

        Raises:
            Exception: What the model raises for a single row.
        """
        memory = False
        try:
            yield
        except Exception as error:
            if len(self.rows) == 1:
                raise
            self.failed = True
            memory = out_of_memory(error)
            if not memory:
                logger.info("going on with one row at a time: %s", error)
                self._budget.single = True
        if memory:
            # After the except clause, which keeps the failed batch's tensors alive.
            self._budget.tokens = max(min(self._budget.tokens, self._tokens) // 2, 1)
            logger.warning("out of memory: going on with %d tokens a batch", self._budget.tokens)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",  # torch's allocator for the CPU, elsewhere "not enough memory"
    "cannot allocate memory",  # the system's own words
    "not enough memory",
    "unable to allocate",  # numpy
    "bad_alloc",  # C++, "bad allocation" on Windows
    "bad allocation",
    "alloc_failed",  # cuBLAS and its like
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, is an out-of-memory error."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause).lower()
        if isinstance(cause, (torch.OutOfMemoryError, MemoryError)):
            return True
        if any(words in text for words in _OUT_OF_MEMORY):
            return True
        cause = cause.__cause__
    return False


def let_go(error: BaseException) -> None:
    """Frees what the frames of an out-of-memory error hold, so that the error can be kept."""
    if out_of_memory(error):
        traceback.clear_frames(error.__traceback__)
