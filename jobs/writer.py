"""Parts are written while the next ones are explained."""

from __future__ import annotations

import threading
from queue import Queue
from types import TracebackType
from typing import Self

from .parts.part import Part
from .run_folder import RunFolder

_WAITING = 2


class Writer:
    """Writes parts in a thread of its own; at most two wait to be written.

    As a context, it writes what waits at the end, also after an error or a signal.

    Args:
        folder: Where to.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._queue: Queue[tuple[int, Part] | None] = Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer of parts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None:
            self._raise()

    def put(self, number: int, part: Part) -> None:
        """Hands a part over; waits while two others wait.

        Raises:
            JobError: If one before it could not be written.
        """
        self._raise()
        self._queue.put((number, part))

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (one := self._queue.get()) is not None:
            if self._error is not None:
                continue  # What comes after a full disk is done again, in order.
            try:
                self._folder.write(*one)
            except BaseException as error:
                self._error = error
