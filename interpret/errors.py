"""The one way in which an interpretation fails."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_MOST = 5


class InterpretationError(RuntimeError):
    """An input cannot be explained; the message names what is wrong and the way out."""


class SettingError(InterpretationError):
    """A setting does not fit the model, whatever the input: a label or a layer that it does not
    have, an output that it does not return."""


class NotApplicableError(SettingError):
    """The method cannot explain this kind of model, whatever the input; the message names another
    method that can."""


def close_names(name: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """What to say after "there is no …": the names that may be meant, or the first of all.

    Args:
        name: The name that is not known.
        known: The names that are, the first ones first.
        cutoff: How close is close, as `difflib.get_close_matches` has it.

    Returns:
        `did you mean 'a' or 'b'?` with at most five close names; where none is close, the names,
        or their number and the first five; empty where there are none.
    """
    folded: dict[str, list[str]] = {}
    for one in known:
        folded.setdefault(one.strip().casefold(), []).append(one)
    own = name.strip().casefold()
    # Names that differ in capital letters alone are the closest.
    alike = [own] if own in folded else difflib.get_close_matches(own, folded, _MOST, cutoff)
    close = [one for key in alike for one in folded[key]][:_MOST]
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not known:
        return ""
    if len(known) <= _MOST:
        return f"there are: {', '.join(map(repr, sorted(known)))}"
    return f"there are {len(known):,}, the first: {', '.join(map(repr, known[:_MOST]))}"
