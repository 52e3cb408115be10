"""The input that a labelled instance comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from allennlp.data import Instance

from ..explanation import JsonDict
from .given_units import GivenUnits


@dataclass(frozen=True)
class Origin:
    """Where a labelled instance comes from.

    Attributes:
        owner: The number of its input.
        place: Its own number among the labelled instances of that input.
        json: The input; None where it was an instance.
        read: Reads an edited copy of the input as the predictor does, without a label.
        units: The units that the user gives.
        whole: Whether the instance has the complete text: it is no window of a long one.
    """

    owner: int
    place: int
    json: JsonDict | None
    read: Callable[[JsonDict], Instance]
    units: GivenUnits
    whole: bool = True
