"""What rows keep of an input beside its scores: a gold label, a domain, an annotator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.explanation import JsonDict

from ..sources.item import Item


def kept(raw: Any, keys: Sequence[str]) -> JsonDict:
    """What an input has under some keys, None where it has none.

    Args:
        raw: The row of a table, or the JSON object of an input.
        keys: The keys, or columns.
    """
    own = raw if isinstance(raw, Mapping) else {}
    return {key: own.get(key) for key in keys}


def check_keys(keys: Sequence[str], items: Iterable[Item]) -> None:
    """Makes sure that some input has each key: a misspelt one would be found missing in the
    morning.

    Args:
        keys: The keys to keep.
        items: The first inputs.

    Raises:
        ConfigurationError: If none has one of them.
    """
    if not keys:
        return
    known: dict[str, None] = {}
    for item in items:
        if isinstance(item.raw, Mapping):
            known.update(dict.fromkeys(map(str, item.raw)))
    missing = [key for key in keys if key not in known]
    if missing:
        there = ", ".join(map(repr, known)) or "none: they are instances of a dataset reader"
        raise ConfigurationError(
            f"keep: none of the first inputs has {', '.join(map(repr, missing))}; there are {there}"
        )
