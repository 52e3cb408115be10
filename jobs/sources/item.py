"""One input of a source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allennlp.data import Instance

from allennlp_saliency.interpret.explanation import JsonDict


@dataclass(frozen=True)
class Item:
    """One input of a source, or what stands in its place.

    Attributes:
        number: Its place among the items of the source, from 0; it decides the part it belongs to.
        line: Its line or row in the file, from 1, blank lines counted too; None if unknown.
        id: The user's own name for it; None if it has none.
        given: What the predictor reads; None if it cannot be read.
        raw: What the row of an error shows as its input.
        problem: Why it cannot be read; None if it can.
        file: The file that it stands in, where there are several; else None.
    """

    number: int
    line: int | None
    id: str | None
    given: JsonDict | Instance | None
    raw: Any
    problem: Exception | None = None
    file: str | None = None
