"""What a dataset reader makes of a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance
from allennlp.data.fields import MetadataField
from allennlp.predictors import Predictor

from allennlp_saliency.predictors.saliency.json_lines import shown

from .cursor import Cursor
from .fields import DEFAULT_ID, Fields
from .item import Item
from .unchanged import Unchanged


class ReaderSource:
    """A source of a dataset reader's instances.

    A reader begins at the beginning: slices in turn read its file once, one that lies before
    the last reads it again. It must give the same instances each time.

    Args:
        path: What the reader is given, mostly a file.
        predictor: The predictor whose reader reads it.
        id_key: The key of the user's own names in the instances' `metadata`; None for `id`.

    Attributes:
        name: What messages call it.
    """

    def __init__(self, path: str, predictor: Predictor, id_key: str | None = None) -> None:
        self.name = path
        self._reader = predictor._dataset_reader
        self._fields = Fields({}, id_key=id_key or DEFAULT_ID)
        self._unchanged = Unchanged(path, path)
        self._counted: tuple[int, str] | None = None
        self._cursor: Cursor[Instance] = Cursor(_beginning, self._begin)

    def count(self) -> int:
        """How many instances there are.

        Raises:
            ConfigurationError: If the reader cannot read the file.
        """
        return self._all()[0]

    def sha256(self) -> str:
        """The hash of the file; of what is no file, that of the instances as they can be read.

        Raises:
            ConfigurationError: As `count`.
        """
        if os.path.isfile(self.name):
            with open(self.name, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        return self._all()[1]

    def items(self, start: int, stop: int) -> Iterator[Item]:
        """The instances `[start, stop)`.

        Raises:
            ConfigurationError: As `count`; or if it is a file that has changed since it was opened.
        """
        self._unchanged.check()
        for number, instance in enumerate(self._cursor.slice(start, stop), start=start):
            yield Item(number, None, self._id(instance), instance, instance)

    def _id(self, instance: Instance) -> str | None:
        metadata = instance.fields.get("metadata")
        if not isinstance(metadata, MetadataField) or not isinstance(metadata.metadata, dict):
            return None
        return self._fields.id(metadata.metadata)

    def _all(self) -> tuple[int, str]:
        if self._counted is None:
            count, seen = 0, hashlib.sha256()
            hashed = not os.path.isfile(self.name)
            for instance in self._begin(0):
                count += 1
                if hashed:
                    seen.update(json.dumps(shown(instance), sort_keys=True).encode())
            self._counted = count, seen.hexdigest()
        return self._counted

    def _begin(self, number: int) -> Iterator[Instance]:
        try:
            yield from self._reader.read(self.name)
        except Exception as error:
            raise ConfigurationError(
                f"{type(self._reader).__name__} cannot read {self.name}: "
                f"{type(error).__name__}: {error}; inputs that are no data of the model's own are "
                "read without --format instances"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_cursor"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cursor = Cursor(_beginning, self._begin)


def _beginning(number: int) -> int:
    return 0
