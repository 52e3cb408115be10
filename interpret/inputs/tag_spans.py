"""Entities in a sequence of tags, in any of the usual schemes."""

from __future__ import annotations

from collections.abc import Sequence


def tag_spans(tags: Sequence[str]) -> list[tuple[int, int]]:
    """The entities in a sequence of tags: BIO, IOB1, BIOUL (BILOU), BMES, or bare types.

    Tags that do not fit a scheme are read leniently: an entity ends where its type changes or
    another begins, and a stray continuation begins one.

    Args:
        tags: `"O"` outside, `"B-PER"` and the like inside, one per token.

    Returns:
        Half-open token ranges, in order.
    """
    spans: list[tuple[int, int]] = []
    open_kind: str | None = None
    for position, tag in enumerate(tags):
        prefix, kind = _parse(tag)
        if kind is None:
            open_kind = None
            continue
        if open_kind == kind and prefix in _CONTINUES:
            spans[-1] = (spans[-1][0], position + 1)
        else:
            spans.append((position, position + 1))
        open_kind = None if prefix in _ENDS else kind
    return spans


_CONTINUES = frozenset({"I", "L", "E", "M", ""})
_ENDS = frozenset({"U", "L", "E", "S"})
_PREFIXES = frozenset("BIOULEMS")


def _parse(tag: str) -> tuple[str, str | None]:
    """A tag's prefix and the entity type; no type outside of entities."""
    if tag == "O":
        return "O", None
    prefix, dash, kind = tag.partition("-")
    if dash and prefix in _PREFIXES:
        return prefix, kind
    return ("", tag) if tag not in _PREFIXES else (tag, "")
