"""Who does parts: a model, the inputs, and an explainer; and how another process makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allennlp.predictors import Predictor

from .errors import JobError
from .job import Job
from .parts.explainer import Explainer
from .parts.part import Part
from .run_folder.folder import kept_inputs
from .selection import selected
from .sources.source import Source


@dataclass(frozen=True)
class Opened:
    """A job whose model is loaded and whose inputs are open.

    Attributes:
        predictor: The predictor.
        source: The inputs that are explained, in order.
    """

    predictor: Predictor
    source: Source


def opened(job: Job) -> Opened:
    """Loads the model of a job and opens its inputs.

    Raises:
        ConfigurationError: If one of them cannot be read.
    """
    from .models import load
    from .sources import open_source

    predictor = load(job)
    source = open_source(
        job.inputs,
        format=job.format,
        columns=dict(job.columns) or None,
        id_key=job.id_key,
        predictor=predictor,
        keep=None if job.output is None else kept_inputs(Path(job.output)),
        beside=job.keep,
    )
    return Opened(predictor, selected(source, job.limit, job.ids))


class JobWorker:
    """Does parts of a job.

    Args:
        job: The job; `batch_tokens` is a number or None.
        what: Its model and its inputs.
        told: Told about how many inputs of a part are explained, while it is at work.
    """

    def __init__(self, job: Job, what: Opened, told: Callable[[float], None] | None = None) -> None:
        self._size = job.part_size
        self._source = what.source
        budget = job.batch_tokens if isinstance(job.batch_tokens, int) else None
        self._explainer = Explainer(
            what.predictor, job.interpreters, budget, job.max_tokens, job.keep, told
        )

    def part(self, number: int) -> Part:
        """Explains the inputs of a part.

        Raises:
            JobError: If the source has fewer than it said.
        """
        start = number * self._size
        items = list(self._source.items(start, start + self._size))
        if len(items) != min(self._size, self._source.count() - start):
            raise JobError(
                f"{self._source.name} has fewer inputs than at the beginning of the job; run the "
                "command again when nobody writes to it"
            )
        return self._explainer.part(items)


class WorkerRecipe:
    """Makes workers of a job, in this process or another.

    Args:
        job: The job, `batch_tokens` measured.
        what: What is open in this process already; another one opens it by itself.
        told: What workers of this process tell about how many inputs of a part are explained.
    """

    def __init__(
        self,
        job: Job,
        what: Opened | None = None,
        told: Callable[[float], None] | None = None,
    ) -> None:
        self.job = job
        self._what = what
        self._told = told

    def __call__(self) -> JobWorker:
        """Makes a worker."""
        what = self._what if self._what is not None else opened(self.job)
        return JobWorker(self.job, what, self._told)

    def __getstate__(self) -> dict[str, Any]:
        return {"job": self.job, "_what": None, "_told": None}
