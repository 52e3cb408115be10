"""A contestant in a process of its own, which may read this project's code from another folder."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .case import Case, NotReachedError
from .timing import ContestantError, LocalStage, Run

_PACKAGE = "allennlp_saliency"
_FOLDERS = ("compat", "interpret", "predictors", "jobs", "commands", "views")


class ProcessStage:
    """A contestant in a fresh process.

    Args:
        contestant: Name of a module in `contestants/`.
        device: "cpu" or "cuda".
        threads: As for `LocalStage`.
        processor: As for `LocalStage`.
        limit: Seconds that it may take for a warm-up or a run; None for any. Its process is ended
            then, and another is started.
        code: A checkout of this project whose package the process imports; None for this one.
    """

    def __init__(
        self,
        contestant: str,
        device: str,
        threads: int | None = None,
        processor: bool = False,
        limit: float | None = None,
        code: Path | None = None,
    ) -> None:
        self._ready = False
        self._failure: str | None = None
        self._limit = limit
        self._folder = None if code is None else tempfile.TemporaryDirectory()
        if self._folder is not None and code is not None:
            _link(code, Path(self._folder.name))
        self._arguments = (contestant, device, threads, processor)
        self._start()

    def prepare(self, name: str, case: Case, warm_up: bool) -> dict[str, Any]:
        notes: dict[str, Any] = self._ask("prepare", name, case, warm_up)
        return notes

    def run(self, name: str) -> Run:
        found: Run = self._ask("run", name)
        return found

    def wait(self) -> str | None:
        """Returns once everything is imported: None, or why it cannot be."""
        if not self._ready:
            self._ready = True
            try:
                self._receive(None)
            except ContestantError as error:
                self._failure = str(error)
        return self._failure

    def close(self) -> None:
        """Ends the process."""
        if self._process.is_alive():
            with suppress(BrokenPipeError):
                self._pipe.send(None)
            self._process.join(10)
        if self._folder is not None:
            self._folder.cleanup()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        code = None if self._folder is None else self._folder.name
        self._process = context.Process(
            target=_serve, args=(theirs, code, *self._arguments), daemon=True
        )
        with _first_on_path(code):
            self._process.start()
        theirs.close()
        self._ready = False
        self._failure = None

    def _ask(self, what: str, *args: Any) -> Any:
        failure = self.wait()
        if failure is not None:
            raise ContestantError(failure)
        self._pipe.send((what, args))
        return self._receive(self._limit)

    def _receive(self, limit: float | None) -> Any:
        try:
            if not self._pipe.poll(limit):
                self._process.kill()
                self._process.join()
                self._start()
                raise ContestantError(f"it takes longer than {limit:g} s")
            result = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            code = self._process.exitcode
            self._start()
            raise ContestantError(f"its process ended with {code}") from error
        if isinstance(result, Exception):
            raise result
        return result


def _serve(
    pipe: Connection,
    code: str | None,
    contestant: str,
    device: str,
    threads: int | None,
    processor: bool,
) -> None:
    try:
        if code is not None:
            _check_imported(Path(code))
        stage = LocalStage(contestant, device, threads, processor)
    except Exception as error:
        pipe.send(_told(error))
        return
    pipe.send(None)
    while (asked := pipe.recv()) is not None:
        what, args = asked
        try:
            pipe.send(getattr(stage, what)(*args))
        except NotReachedError as error:
            pipe.send(error)
        except Exception as error:
            pipe.send(_told(error))


def _told(error: Exception) -> ContestantError:
    # Not every exception survives the way to another process.
    said = " ".join(str(error).split())
    return ContestantError(f"{type(error).__name__}: {said[:300]}")


def _link(code: Path, folder: Path) -> None:
    """Makes the package of a checkout importable from a folder, as the installation does."""
    package = folder / _PACKAGE
    package.mkdir()
    for path in (code / _PACKAGE).resolve().iterdir():
        (package / path.name).symlink_to(path)
    for name in filter(lambda name: (code / name).is_dir(), _FOLDERS):
        (package / name).symlink_to((code / name).resolve())


@contextmanager
def _first_on_path(folder: str | None) -> Iterator[None]:
    """What a process that is started inside finds in a folder before it looks anywhere else."""
    before = list(sys.path)
    sys.path[:0] = [] if folder is None else [folder]
    try:
        yield
    finally:
        sys.path[:] = before


def _check_imported(folder: Path) -> None:
    import allennlp_saliency.interpret as imported

    assert str(imported.__file__).startswith(str(folder)), f"{imported.__file__} was imported"
