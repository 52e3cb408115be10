"""Which inputs of a model may share a batch, as far as is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from allennlp.data import Instance

from ..contracts import Expected


@dataclass(frozen=True)
class Job:
    """An instance to explain.

    Attributes:
        instance: A labelled instance, indexed.
        expected: What the model must return for it; None where nothing was predicted.
        length: The tokens of its row; of the longest where several instances share a row.
    """

    instance: Instance
    expected: Expected | None
    length: int


@dataclass
class BatchSharing:
    """What an interpreter knows about batches of its model. At first all inputs may share a batch.

    Attributes:
        equal_lengths: Whether only inputs of equal length may: padding changes the outputs.
        single: Whether none may: the model mixes the rows of a batch, or takes one row only.
    """

    equal_lengths: bool = False
    single: bool = False

    def groups(self, jobs: Sequence[Job]) -> list[list[int]]:
        """The numbers of jobs that may share a batch, in each list."""
        if self.single:
            return [[number] for number in range(len(jobs))]
        if not self.equal_lengths:
            return [list(range(len(jobs)))]
        by_length: dict[int, list[int]] = {}
        for number, job in enumerate(jobs):
            by_length.setdefault(job.length, []).append(number)
        return list(by_length.values())

    def refuse(self, jobs: Sequence[Job]) -> None:
        """Records that some jobs failed in one batch although each succeeds alone."""
        if not self.equal_lengths and len({job.length for job in jobs}) > 1:
            self.equal_lengths = True
        else:
            self.single = True
