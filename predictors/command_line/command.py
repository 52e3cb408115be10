"""The command itself: from its arguments to its exit status, also where a signal ends it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from allennlp.commands import predict as allennlp_predict
from allennlp.common import logging as allennlp_logging
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import lazy_groups_of
from allennlp.data import Instance
from transformers.utils import logging as transformers_logging

from allennlp_saliency.interpret.errors import InterpretationError, SettingError
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.predictors.saliency.json_lines import ErrorLine

from . import lines
from .lines import check
from .output import Console, ConsoleClosed, OutputError, OutputFile, Progress, Tally, say

if TYPE_CHECKING:
    from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor

INTERRUPTED, TERMINATED, CLOSED = 128 + 2, 128 + 15, 128 + 13
"""Exit statuses, as shells give them to commands that SIGINT, SIGTERM or SIGPIPE ended."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came. AllenNLP's command makes an `Exception` of it, which would be taken for an
    error of the input that is being interpreted."""


@contextmanager
def terminating() -> Iterator[None]:
    """Makes SIGTERM end what runs, as Ctrl-C does; takes it back afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are another thread's
        return

    came = []

    def end(number: int, frame: Any) -> None:
        came.append(number)
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt as stop:
        if came and not isinstance(stop, Terminated):  # Ray makes a plain one of it
            raise Terminated from stop
        raise
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


@contextmanager
def quiet(silent: bool) -> Iterator[None]:
    """Logs nothing below errors and shows no bar of transformers', unless AllenNLP's variables ask
    for a level.

    Args:
        silent: Whether to do so at all.
    """
    asked = os.environ.get("ALLENNLP_DEBUG") or os.environ.get("ALLENNLP_LOG_LEVEL")
    if not silent or asked:
        yield
        return
    before, bars = logging.root.manager.disable, transformers_logging.is_progress_bar_enabled()
    logging.disable(max(before, logging.WARNING))
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.disable(before)
        if bars:
            transformers_logging.enable_progress_bar()


logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> None:
    """Runs `allennlp predict`.

    Args:
        args: The parsed arguments of the command.

    Raises:
        SystemExit: With a message and status 1 if the arguments are wrong, a setting fits no
            input, every input failed, or the output cannot be written; with 130 after Ctrl-C, 143
            after SIGTERM, 141 if the standard output was closed.
    """
    tally = Tally()
    output = OutputFile(args.output_file) if args.output_file else None
    try:
        with quiet(args.silent), terminating():
            allennlp_logging.FILE_FRIENDLY_LOGGING = args.file_friendly_logging
            check(args)
            predictor = _loaded(args)
            first = _Run(args, predictor, output, tally).to_the_end()
    except KeyboardInterrupt as stop:
        _close(output)
        terminated = isinstance(stop, Terminated)
        how = "terminated" if terminated else "interrupted"
        say(f"{how} after {tally.summary(with_total=True)}{_kept(output)}")
        raise SystemExit(TERMINATED if terminated else INTERRUPTED) from None
    except ConsoleClosed:
        say(f"the standard output was closed after {tally.summary(with_total=True)}")
        raise SystemExit(CLOSED) from None
    except (ConfigurationError, InterpretationError, OutputError, FileNotFoundError) as error:
        _close(output)
        if tally.inputs:
            say(f"stopped after {tally.summary(with_total=True)}{_kept(output)}")
        raise SystemExit(f"allennlp predict: error: {error}") from error
    except BaseException:
        _close(output)
        say(f"failed after {tally.summary(with_total=True)}{_kept(output)}")
        raise
    say(f"{tally.summary()}{_kept(output)}")
    if tally.inputs and tally.errors == tally.inputs:
        raise SystemExit(f"allennlp predict: error: every input failed; the first: {first}")


def _loaded(args: argparse.Namespace) -> Any:
    """The predictor; a `ConfigurationError` where it cannot be made, whatever the library is that
    says so."""
    try:
        return allennlp_predict._get_predictor(args)
    except (ConfigurationError, InterpretationError, MemoryError):
        raise
    except Exception as error:
        # Notes say which archive was loaded.
        reason = " ".join([_described(error), *getattr(error, "__notes__", ())])
        raise ConfigurationError(reason) from error


def _described(error: Exception) -> str:
    """What an error says, on one line; the traceback is for those who ask for it."""
    logger.debug("%s", error, exc_info=error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@dataclass
class _Run:
    """From the predictor on; `first` is what is wrong with the first input that failed."""

    args: argparse.Namespace
    predictor: SaliencyPredictor
    output: OutputFile | None
    tally: Tally
    first: str = ""

    def __post_init__(self) -> None:
        self.console = None if self.args.silent else Console()

    def to_the_end(self) -> str:
        """Does all inputs; what is wrong with the first that failed, empty if none did."""
        args = self.args
        if not args.use_dataset_reader:
            self.tally.total = lines.count(args.input_file)
        reads, takes = args.use_dataset_reader, self.predictor
        predict = takes.predict_batch_instance if reads else takes.predict_batch_json
        progress = Progress(self.tally, args.silent, args.file_friendly_logging)
        try:
            for batch in lazy_groups_of(self._inputs(), args.batch_size):
                found = predict(batch)
                self._check_settings(found)
                progress.hide()
                for given, line in zip(batch, found, strict=True):
                    self._write(given, line)
                self._to_console(Console.flush)
                progress.update()
        finally:
            progress.close()
        if self.output is not None:
            self.output.open()
            self.output.close()
        return self.first

    def _inputs(self) -> Iterator[Any]:
        """The lines; or a reader's instances, where what it raises, which knows no lines, ends the
        run."""
        args = self.args
        if not args.use_dataset_reader:
            yield from lines.read(args.input_file, self.predictor.load_numbered_line)
            return
        # It reads a reader's instances, for several tasks, too, and opens no output of its own.
        manager = allennlp_predict._PredictManager(
            self.predictor, args.input_file, None, args.batch_size, False, True,
            args.multitask_head,
        )  # fmt: skip
        try:
            yield from manager._get_instance_data()
        except (ConfigurationError, MemoryError):
            raise
        except Exception as error:
            reader = type(manager._dataset_reader).__name__
            raise ConfigurationError(
                f"the dataset reader {reader} cannot read {args.input_file}: {_described(error)}"
            ) from error

    def _check_settings(self, found: Sequence[JsonDict]) -> None:
        """Stops a run that has failed at every input until now, by a setting that fits none."""
        if self.tally.errors < self.tally.inputs:
            return
        errors = [line.error for line in found if isinstance(line, ErrorLine)]
        unfit = [error for error in errors if isinstance(error, SettingError)]
        if unfit and len(errors) == len(found):
            raise ConfigurationError(
                f"--predictor-args {self.args.predictor_args or '{}'} does not fit this model, "
                f"whatever the input: {unfit[0]}"
            ) from unfit[0]

    def _write(self, given: Any, line: JsonDict) -> None:
        text = self.predictor.dump_line(line)
        if self.output is not None:
            self.output.write(text)
        as_text = str if isinstance(given, Instance) else json.dumps
        self._to_console(lambda console: console.show(self.tally.inputs, as_text(given), text))
        if isinstance(line, ErrorLine) and not self.first:
            self.first = line.message
        self.tally.add(isinstance(line, ErrorLine))

    def _to_console(self, do: Callable[[Console], None]) -> None:
        """Does something with the console; once it is closed, goes on if there is a file."""
        try:
            if self.console is not None:
                do(self.console)
        except ConsoleClosed:
            if self.output is None:
                raise
            self.console = None


def _close(output: OutputFile | None) -> None:
    try:
        if output is not None:
            output.close()
    except OutputError as error:
        say(str(error))


def _kept(output: OutputFile | None) -> str:
    if output is None:
        return ""
    return f"; output in {output.path}" if output.opened else "; no output was written"
