"""What a layer returns: its states, alone or the first of several things."""

from __future__ import annotations

import copy
from typing import Any

from transformers.utils import ModelOutput


def states_of(output: Any) -> Any:
    """The states that a layer returns, `(rows, positions, dim)`, mostly.

    Args:
        output: A tensor, or a tuple, a list or a Hugging Face `ModelOutput` whose first value
            the states are.
    """
    if isinstance(output, (tuple, list)) and len(output) > 0:
        return output[0]
    if isinstance(output, ModelOutput) and len(output) > 0:
        return next(iter(output.values()))
    return output


def with_states(output: Any, states: Any) -> Any:
    """An output of the same kind with other states; the layer's own stays as it is.

    Args:
        output: What a layer returned.
        states: What stands in for `states_of(output)`.
    """
    if isinstance(output, tuple) and len(output) > 0:
        others = (states, *output[1:])
        # A named tuple takes its values one by one.
        return type(output)(*others) if hasattr(output, "_fields") else others
    if isinstance(output, list) and len(output) > 0:
        return [states, *output[1:]]
    if isinstance(output, ModelOutput) and len(output) > 0:
        own = copy.copy(output)
        own[next(iter(output))] = states
        return own
    return states
