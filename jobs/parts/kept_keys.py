"""What rows keep of an input beside its scores: a gold label, a domain, an annotator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.predictors.saliency.json_lines import shown

from ..sources.item import Item


def kept(raw: Any, keys: Sequence[str]) -> JsonDict:
    """What an input has under some keys, None where it has none.

    Args:
        raw: The row of a table, the JSON object of an input, or an instance of a dataset reader.
        keys: The keys, columns, or names of the instance's fields.
    """
    # An instance is a mapping, too, of fields.
    readable = shown(raw) if isinstance(raw, Instance) else raw
    own = readable if isinstance(readable, Mapping) else {}
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
        there = ", ".join(map(repr, known)) or "none"
        raise ConfigurationError(
            f"keep: none of the first inputs has {', '.join(map(repr, missing))}; there are {there}"
        )
