"""What runs in another process: a worker that is made there."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from ..parts.part import Part
from .engine import Worker
from .surroundings import Surroundings


@dataclass(frozen=True)
class Failure:
    """An exception of a worker, brought back as a value: Ray's own way adds its own type and the
    traceback to the message.

    Attributes:
        error: The exception.
    """

    error: Exception


class RayWorker:
    """Makes a worker in this process and hands it parts.

    Args:
        surroundings: Those of the process that sent it.
        recipe: One reference to the pickled `make`: it is opened once they are taken on.
    """

    def __init__(self, surroundings: Surroundings, recipe: list[Any]) -> None:
        self._surroundings = surroundings
        self._recipe = recipe
        self._worker: Worker | None = None

    def start(self) -> Failure | None:
        """Makes the worker."""
        import ray

        try:
            self._surroundings.take_on()
            self._worker = pickle.loads(ray.get(self._recipe[0]))()
        except Exception as error:
            return Failure(_portable(error))
        return None

    def part(self, number: int) -> Part | Failure:
        """Does a part."""
        if self._worker is None:
            return Failure(RuntimeError("the worker was not started"))
        try:
            return self._worker.part(number)
        except Exception as error:
            return Failure(_portable(error))


def _portable(error: Exception) -> Exception:
    """The exception, or another with its name and words where it cannot be sent."""
    bare = error.with_traceback(None)
    bare.__cause__ = bare.__context__ = None
    try:
        pickle.loads(pickle.dumps(bare))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return bare
