"""Whether two predictions of one instance are the same: alone, and in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

from .prediction_check import Mismatch, check_predicted

_Pair = tuple[Tensor, Tensor]


class _OtherForm(Exception):
    """Two outputs are not of the same form, or something in them differs that is no float."""


def same_prediction(
    alone: Mapping[str, Any],
    together: Mapping[str, Any],
    device: torch.device,
    dtype: torch.dtype,
) -> bool:
    """Whether all of an instance's outputs are the same: the names, the shapes, what is no floating
    number exactly, and floating numbers up to rounding.

    Args:
        alone: What `forward_on_instance` returned.
        together: What `forward_on_instances` returned for the same instance among others.
        device: Where the model runs.
        dtype: The floating type that it computes in.
    """
    try:
        pairs = dict(_pairs("", alone, together))
    except _OtherForm:
        return False
    found = {name: other[None].to(device) for name, (_, other) in pairs.items()}
    try:
        check_predicted(found, [{name: one for name, (one, _) in pairs.items()}], dtype)
    except Mismatch:
        return False
    return True


def _pairs(name: str, one: Any, other: Any) -> Iterator[tuple[str, _Pair]]:
    """The floating numbers of two outputs, with the places that they stand in.

    Raises:
        _OtherForm: If the outputs differ in something else.
    """
    own, others = _floats(one), _floats(other)
    if own is not None and others is not None:
        if own.shape != others.shape or not _infinite_alike(own, others):
            raise _OtherForm
        yield name, (own, others)
    elif isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        for key, value in one.items():
            yield from _pairs(f"{name}.{key}", value, other[key])
    elif _is_list(one) and _is_list(other) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from _pairs(f"{name}.{number}", *pair)
    elif not _equal(one, other):
        raise _OtherForm


def _floats(value: Any) -> Tensor | None:
    """An array of floating numbers, a list of them or one; None for anything else."""
    numbers = _is_list(value) and bool(value) and all(isinstance(one, float) for one in value)
    if numbers or isinstance(value, float | numpy.ndarray | numpy.generic):
        array = numpy.asarray(value)
        return torch.as_tensor(array) if array.dtype.kind == "f" else None
    return None


def _infinite_alike(one: Tensor, other: Tensor) -> bool:
    """Whether two arrays of one shape have the same infinities in the same places: these are no
    rounding errors, and are not looked at where floating numbers are compared."""
    infinite = one.isinf() | other.isinf()
    return bool((one[infinite] == other[infinite]).all())


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _equal(one: Any, other: Any) -> bool:
    try:
        if isinstance(one, numpy.ndarray) or isinstance(other, numpy.ndarray):
            return numpy.array_equal(one, other)
        return bool(one == other)
    except Exception:
        return False  # It has no equality, so nothing is known.
