"""A job from its settings to a complete folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.explanation import JsonDict

from .batch_tokens import measured
from .engines.engine import Engine
from .engines.local import LocalEngine
from .errors import JobError
from .job import Job
from .parts.kept_keys import check_keys
from .parts.part import Part
from .progress import Progress, say
from .run_folder import RunFolder
from .run_folder.checks import check_apart
from .run_folder.config import config_of
from .run_folder.folder import check_place, kept_inputs, locks_of
from .worker import JobWorker, Opened, WorkerRecipe, opened
from .writer import Writer

_LOOKED_AT = 100
_UNFIT = ("SettingError", "NotApplicableError")


def run_job(job: Job, command: str = "", silent: bool = False) -> JsonDict:
    """Explains what a job names, into its folder; what is complete there is not done again.

    Args:
        job: The job.
        command: What lines about the progress begin with.
        silent: Whether to show no progress.

    Returns:
        The content of `summary.json`.

    Raises:
        ConfigurationError: If a setting does not fit, or a file cannot be read.
        JobError: If the folder holds another run, another process is at work there, a file cannot
            be written, or a setting fits none of the inputs.
        KeyboardInterrupt: What came in between; what was complete by then is in the folder.
    """
    from .models import model_identity

    if job.output is None:
        raise ConfigurationError("a job needs output, a folder")
    path = Path(job.output).absolute()  # A model's code may go into another folder.
    job = replace(job, output=path)
    check_place(path)
    check_apart(job.inputs, path)
    engine = engine_of(job)
    with locks_of(path).parts(job.shard):
        if job.overwrite:
            kept_inputs(path).unlink(missing_ok=True)
        what = opened(job)
        if not what.source.count():
            raise ConfigurationError(f"{what.source.name} has no inputs")
        check_keys(job.keep, what.source.items(0, _LOOKED_AT))
        JobWorker(job, what)  # says what is wrong with the settings before anything is written
        job = measured(job, what)
        config = config_of(job, model_identity(job, what.predictor), what.source)
        folder, versions = RunFolder.make(path, config, job.overwrite, alone=job.shard is None)
        if versions and not silent:
            say(
                command,
                f"{path} was begun with other versions ({'; '.join(versions)}): the last digits "
                "of scores may differ from part to part",
            )
        folder.remove_unfinished(job.shard)
        if not silent:
            _tell_done(job, folder, command)
        try:
            _do(job, what, folder, engine, command, silent)
        except SystemExit as error:
            _finish_after(folder)
            # Whatever status it has: the job has not come to its end.
            raise JobError(
                f"the model, or what reads its inputs, ended the process ({error.code}) in the "
                "middle of a part; the parts before it are complete"
            ) from error
        except BaseException:
            _finish_after(folder)
            raise
        return folder.finish()


def engine_of(job: Job) -> Engine:
    """Who does the parts."""
    if job.engine == "local":
        return LocalEngine()
    from .engines.ray import RayEngine

    gpus = 0 if job.cuda_device < 0 else 1
    return RayEngine(address=job.address, workers=job.workers, gpus_per_worker=gpus)


def parts_to_do(job: Job, folder: RunFolder) -> tuple[list[int], dict[int, JsonDict]]:
    """The numbers of the parts to do; and the inputs and errors of those that are complete."""
    index, count = job.shard or (0, 1)
    done = folder.done()
    if job.retry_errors:
        done = {number: one for number, one in done.items() if not one["failed"]}
    own = range(index, folder.parts, count)
    return [number for number in own if number not in done], {
        number: one for number, one in done.items() if number in own
    }


def _do(
    job: Job, what: Opened, folder: RunFolder, engine: Engine, command: str, silent: bool
) -> None:
    todo, done = parts_to_do(job, folder)
    if not todo:
        return
    inputs = sum(_inputs(folder, job, number) for number in todo)
    before, failed = (sum(one[key] for one in done.values()) for key in ("inputs", "failed"))
    # A worker of Ray sees the GPU that it was given, and no other.
    sees_one = job.engine == "ray" and job.cuda_device > 0
    shown = Progress(inputs + before, before, failed, command, silent)
    recipe = WorkerRecipe(replace(job, cuda_device=0) if sees_one else job, what, shown.within)
    first = not done
    with shown as progress, Writer(folder) as writer:
        for number, part in engine.run(recipe, todo):
            if first:
                _check_settings(part)
            first = False
            writer.put(number, part)
            progress.add(part)


def _tell_done(job: Job, folder: RunFolder, command: str) -> None:
    """That a run goes on, where it does: else nobody sees that what is there is kept."""
    todo, done = parts_to_do(job, folder)
    if done:
        of = len(todo) + len(done)
        inputs = sum(one["inputs"] for one in done.values())
        say(command, f"{len(done):,} of {of:,} parts ({inputs:,} inputs) are there and are kept")


def _inputs(folder: RunFolder, job: Job, number: int) -> int:
    count: int = folder.config["inputs"]["count"]
    return min(count - number * job.part_size, job.part_size)


def _check_settings(part: Part) -> None:
    """Ends a job whose first part fails by a setting that fits no input: the others would, too."""
    if part.rows or not part.errors:
        return
    unfit = [one for one in part.errors if one["error"]["type"] in _UNFIT]
    readable = [one for one in part.errors if one["interpreter"] is not None]
    if unfit and len(unfit) >= len(readable):
        raise JobError(
            f"a setting does not fit this model, whatever the input: {unfit[0]['error']['message']}"
        )


def _finish_after(folder: RunFolder) -> None:
    """Writes what there is by now; that the disk is full was said already."""
    try:
        folder.finish()
    except JobError:
        return
