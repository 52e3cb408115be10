"""From Python: the rows of a data set one by one, with a folder that keeps them or without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.explanation import JsonDict

from .parts.kept_keys import check_keys
from .sources import Item, Source, open_source
from .sources.rows import ListRows, RowsSource

if TYPE_CHECKING:
    from allennlp.predictors import Predictor

    from .job import Job

_OF_FOLDERS = ("ids", "overwrite", "retry_errors", "shard", "engine", "address", "workers")
_AT_ONCE = 64


def interpret_dataset(
    model: Any,
    inputs: Any,
    interpreter: Any = "integrated-gradients",
    output: str | PathLike[str] | None = None,
    **settings: Any,
) -> Iterator[JsonDict]:
    """Explains inputs; gives a row for each and each interpreter.

    Args:
        model: A predictor, an archive, a folder or hub id of Hugging Face, or a config.
        inputs: A path or several; or a list of objects or texts, a generator, a table of pandas or
            polars, a data set of `datasets`.
        interpreter: The registered name of an interpreter, or its parameters with the name as
            `type`; or several of these.
        output: A folder that keeps the rows and goes on where it was, as `allennlp interpret`
            writes it; the rows come when all is done. None to keep nothing: each part's rows come
            when it is done.
        settings: What else `Job` takes: `task`, `columns`, `id_key`, `limit`, …. Without an output
            `part_size`, 64 then, is how many inputs are explained at once.

    Returns:
        Rows, `{"id": …, "line": …, "interpreter": …, "prediction": …, "instance_1": {…}, …}`. That
        of an input which cannot be explained has `error` and `input`; it stands in its place, or,
        where there is an output, behind all others.

    Raises:
        ConfigurationError: If the model or the inputs cannot be read, or a setting is wrong: at
            once, not at the first row.
        JobError: If the folder holds another run, or cannot be written.
    """
    from .job import Job

    inputs = _as_rows(inputs)
    if output is not None:
        return _kept(Job(model, inputs, interpreter, output=output, **settings))
    job = Job(model, inputs, interpreter, **{"part_size": _AT_ONCE, **settings})
    defaults = {one.name: one.default for one in fields(Job)}
    for name in _OF_FOLDERS:
        if getattr(job, name) != defaults[name]:
            raise ConfigurationError(f"{name} is for a job with an output: name a folder")
    if job.batch_tokens == "auto":
        raise ConfigurationError(
            "batch_tokens 'auto' is for a job with an output: name a folder, or a number"
        )
    return _streamed(job)


def _as_rows(inputs: Any) -> Any:
    """Inputs; a list of strings that do not all name files as texts."""
    if not isinstance(inputs, (list, tuple)) or not inputs:
        return inputs
    if not all(isinstance(one, str) for one in inputs) or all(map(_is_path, inputs)):
        return inputs
    return [{"text": one} for one in inputs]


def _is_path(text: str) -> bool:
    try:
        return text == "-" or Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False


def _kept(job: Job) -> Iterator[JsonDict]:
    """The rows of a job in its folder, and its errors."""
    from .run import run_job
    from .run_folder import RunFolder

    assert job.output is not None
    run_job(job, silent=True)
    folder = RunFolder(Path(job.output))

    def rows() -> Iterator[JsonDict]:
        yield from folder.rows()
        yield from folder.errors()

    return rows()


def _streamed(job: Job) -> Iterator[JsonDict]:
    """The rows of a job that keeps nothing, part by part."""
    from .models import load
    from .parts.explainer import Explainer

    predictor = load(job)
    budget = job.batch_tokens if isinstance(job.batch_tokens, int) else None
    explainer = Explainer(predictor, job.interpreters, budget, job.max_tokens, job.keep)
    parts = _parts(job, predictor)

    def rows() -> Iterator[JsonDict]:
        for number, items in enumerate(parts):
            if number == 0:
                check_keys(job.keep, items)
            part = explainer.part(items)
            yield from _in_order(part.rows, part.errors, items, len(job.interpreters))

    return rows()


def _parts(job: Job, predictor: Predictor) -> Iterator[list[Item]]:
    """The items that are explained at once."""
    given = job.inputs
    options: dict[str, Any] = {
        "format": job.format,
        "columns": dict(job.columns) or None,
        "id_key": job.id_key,
        "predictor": predictor,
        "beside": job.keep,
    }
    if isinstance(given, Iterable) and not hasattr(given, "__len__"):
        rest = iter(given) if job.limit is None else islice(given, job.limit)
        first = list(islice(rest, job.part_size))
        source = open_source(_Given(first), **options)
        assert isinstance(source, RowsSource)
        return _of_generator(source, first, rest, job.part_size)
    return _of_source(open_source(given, **options), job.limit, job.part_size)


class _Given(list[Any]):
    """Inputs that are no paths, be they strings."""


def _of_generator(
    source: RowsSource, rows: Sequence[Any], rest: Iterator[Any], size: int
) -> Iterator[list[Item]]:
    before = 0
    while rows:
        items = source.of(ListRows(rows)).items(0, len(rows))
        yield [
            replace(one, number=before + one.number, line=before + one.number + 1) for one in items
        ]
        before += len(rows)
        rows = list(islice(rest, size))


def _of_source(source: Source, limit: int | None, size: int) -> Iterator[list[Item]]:
    count = source.count()
    stop = count if limit is None else min(count, limit)
    return (list(source.items(n, min(n + size, stop))) for n in range(0, stop, size))


def _in_order(
    rows: Sequence[JsonDict], errors: Sequence[JsonDict], items: Sequence[Item], interpreters: int
) -> Iterator[JsonDict]:
    """Rows and errors of a part in the order of its items: one has a row or an error for each
    interpreter, or one error for all of them."""
    of_item: dict[int, list[JsonDict]] = {}
    for error in errors:
        of_item.setdefault(error["number"], []).append(error)
    explained = iter(rows)
    for item in items:
        failed = of_item.get(item.number, [])
        shared = any(error["interpreter"] is None for error in failed)
        yield from islice(explained, 0 if shared else interpreters - len(failed))
        yield from failed
