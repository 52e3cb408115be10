"""Which instances of a model may share a batch, as far as is known, and what follows from that."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from allennlp.data import Instance
from allennlp.models import Model

from ..contracts import Expected
from ..explanation import Explanation
from ..inputs.labels import own_namespace
from ..space.packing import let_go
from ..target.prediction_check import Mismatch


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


def shared_kinds(
    instances: Sequence[Instance],
    rows: Sequence[Sequence[int]],
    model: Model,
    mixes_lengths: bool,
) -> list[Hashable]:
    """Of each row what is the same for all that share a batch: the namespace that has the name of
    its label.

    Args:
        instances: Labelled instances.
        rows: The numbers of the instances of each row.
        model: The model.
        mixes_lengths: Whether instances may be of different lengths; else these are part of it.
    """
    first = [instances[row[0]] for row in rows]
    spaces = [own_namespace(one, model) for one in first]
    if mixes_lengths:
        return list(spaces)
    return [
        (space, str(one.get_padding_lengths())) for space, one in zip(spaces, first, strict=True)
    ]


@dataclass
class BatchSharing:
    """Which instances of a model may share a batch, as far as is known. At first all may.

    Attributes:
        equal_lengths: Whether only instances of equal length may: padding changes the outputs.
        single: Whether none may: the model mixes the rows of a batch, or takes one row only.
    """

    equal_lengths: bool = False
    single: bool = False

    def explain(
        self, jobs: Sequence[Job], explain: Callable[[Sequence[Job]], list[Explanation]]
    ) -> list[Explanation | Exception]:
        """Explains instances in one batch as far as the model allows; where that fails, one by one.

        Args:
            jobs: The instances.
            explain: Explains instances in one batch. It raises `Mismatch` where the model does not
                return what it predicted.

        Returns:
            One per instance: its explanation, or the error that it fails with alone.
        """
        groups = self.groups(jobs)
        if len(groups) == 1:
            try:
                return list(explain(jobs))
            except Exception as error:
                let_go(error)
                if len(jobs) == 1:
                    return [error]
                row = error.row if isinstance(error, Mismatch) else None
            if row is not None:
                # Find out whether the batch is the cause: explain the instance alone.
                (alone,) = self.explain([jobs[row]], explain)
                if not isinstance(alone, Exception):
                    self.refuse(jobs)
                    return self.explain(jobs, explain)
            groups = [[number] for number in range(len(jobs))]
        results: dict[int, Explanation | Exception] = {}
        for group in groups:
            explained = self.explain([jobs[number] for number in group], explain)
            results.update(zip(group, explained, strict=True))
        return [results[number] for number in range(len(jobs))]

    def check_alone(self, jobs: Sequence[Job]) -> list[int]:
        """The job of a batch to compare with itself alone, to see whether padding changes it: of
        those without a prediction the shortest; empty where there is no padding."""
        longest = max(job.length for job in jobs)
        padded = [n for n, job in enumerate(jobs) if not job.expected and job.length < longest]
        return sorted(padded, key=lambda n: jobs[n].length)[:1]

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
