"""Checks of what a constructor was given, parameter by parameter.

`from_params` lets any type through where annotations are strings, and Python any type anywhere; so
each constructor says what it takes. A wrong value raises a `ConfigurationError` at once, which
names the parameter.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import numpy
from allennlp.common.checks import ConfigurationError

LEAST_SEED, LARGEST_SEED = -(2**63), 2**64 - 1


def integer(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """An integer, a number of numpy's included.

    Args:
        name: The parameter's name.
        value: What was given for it.
        least: The smallest that is taken.
        most: The largest that is taken.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if (least is None or number >= least) and (most is None or number <= most):
            return number
    raise _wrong(name, f"an integer{_range(least, most)}", value)


def optional_integer(
    name: str, value: Any, least: int | None = None, most: int | None = None
) -> int | None:
    """As `integer`, or None."""
    return None if value is None else integer(name, value, least, most)


def seed(name: str, value: Any) -> int:
    """A seed of torch's generators, an integer of 64 bits."""
    return integer(name, value, LEAST_SEED, LARGEST_SEED)


def number(
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
) -> float:
    """A finite number, one of numpy's included.

    Args:
        name: The parameter's name.
        value: What was given for it.
        least: The smallest that is taken.
        most: The largest that is taken.
        above: What it has to be larger than.
    """
    found = _float(value)
    if math.isfinite(found):
        inside = (least is None or found >= least) and (most is None or found <= most)
        if inside and (above is None or found > above):
            return int(value) if isinstance(value, Integral) else found
    what = f"a finite number{_range(least, most)}"
    raise _wrong(name, what if above is None else f"{what} above {above}", value)


def optional_number(name: str, value: Any, above: float | None = None) -> float | None:
    """As `number`, or None."""
    return None if value is None else number(name, value, above=above)


def boolean(name: str, value: Any) -> bool:
    """True or false, and no word for it."""
    if isinstance(value, (bool, numpy.bool_)):
        return bool(value)
    raise _wrong(name, "true or false", value)


def text(name: str, value: Any) -> str:
    """A string."""
    if isinstance(value, str):
        return value
    raise _wrong(name, "a string", value)


def choice(name: str, value: Any, known: Collection[str]) -> str:
    """One of some words."""
    if isinstance(value, str) and value in known:
        return value
    raise _wrong(name, " or ".join(map(repr, known)), value)


def choice_or_integer(name: str, value: Any, known: Collection[str]) -> str | int:
    """One of some words, or an integer."""
    if isinstance(value, str) and value in known:
        return value
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    raise _wrong(name, " or ".join([*map(repr, known), "a number"]), value)


def _float(value: Any) -> float:
    """A number as a float; NaN for what is none, or larger than any."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _range(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f" of at least {least}"
    return f" of at most {most}" if least is None else f" from {least} to {most}"


def _wrong(name: str, what: str, value: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is {what}, not {value!r:.100} of type {type(value).__name__}"
    )
