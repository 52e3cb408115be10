"""The units of an input that stay or are removed: tokens, words, sentences or paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..inputs.json_texts import Place, json_texts, texts_behind, trace_all
from ..inputs.segments import LEVELS
from ..inputs.texts import TextItem, text_items, token_spans
from ..inputs.token_groups import group_by_spans, group_name, grouped
from ..space.embedding_space import EmbeddingSpace
from .text_units import TextUnits


@dataclass(frozen=True, kw_only=True)
class Units(TextUnits):
    """The units of one instance.

    Attributes:
        positions: The positions of each, `(units, positions)`.
    """

    positions: Tensor


def units_of(space: EmbeddingSpace, row: int, level: str, removable: Tensor) -> Units:
    """The units of an instance.

    Args:
        space: The instances.
        row: Which of them.
        level: "token", "word", "sentence" or "paragraph"; where the user gives units, these are all
            that there are.
        removable: Positions that may be removed, `(positions,)`; a unit without one is none.
    """
    instance = space.instances[row]
    given = _given_units(space, row)
    origin = space.session.origins.get(id(instance))
    texts = texts_behind(instance, None if origin is None else origin.json)
    names: list[str] = []
    positions: list[Tensor] = []
    blocks: list[tuple[int, ...]] = []
    places: list[Place] = []
    members: list[tuple[str, list[int]]] = []
    for number, field in enumerate(space.layout.names):
        tokens = space.layout.tokens_of(field)[row]
        for item in text_items(instance.fields[field]):
            name = item.name(field)
            by_level = _units_of_text(item, level, texts.get(name)) if given is None else []
            for unit in by_level if given is None else given.get(name, ()):
                own = torch.isin(tokens, torch.tensor(unit.tokens) + item.first_token) & removable
                if own.any():
                    names.append(unit.name)
                    positions.append(own)
                    blocks.append((number, item.first_token, *unit.blocks))
                    members.append((name, unit.tokens))
                    places += unit.place
    stacked = (
        torch.stack(positions) if positions else torch.zeros(0, len(removable), dtype=torch.bool)
    )
    levels = () if given is not None else _larger(level)
    return Units(names, blocks, members, levels, tuple(places), positions=stacked)


def spread(units: Sequence[Units], scores: Sequence[np.ndarray]) -> Tensor:
    """A score per unit of each instance as one per position, `(instances, positions)`: the
    positions of a unit share its score."""
    rows = []
    for own, score in zip(units, scores, strict=True):
        positions = own.positions.double()
        shares = positions / positions.sum(dim=1, keepdim=True)
        rows.append(torch.from_numpy(score) @ shares)
    return torch.stack(rows)


@dataclass(frozen=True)
class _TextUnit:
    name: str
    tokens: list[int]
    blocks: tuple[int, ...] = ()
    place: tuple[Place, ...] = ()


def _given_units(space: EmbeddingSpace, row: int) -> dict[str, list[_TextUnit]] | None:
    """By the name of a text the units that the user gives; None where there are none."""
    instance = space.instances[row]
    origin = space.session.origins.get(id(instance))
    if origin is None or origin.json is None or not origin.units:
        return None
    texts = json_texts(origin.json)
    found = {}
    for name, (path, offsets) in trace_all(instance, space.layout.names, origin.json).items():
        spans = origin.units.get(path, ())
        groups = group_by_spans(offsets, spans)[: len(spans)]
        found[name] = [
            _TextUnit(texts[path][slice(*span)], group.tokens, place=((path, span),))
            for span, group in zip(spans, groups, strict=True)
            if group.tokens
        ]
    return found


def _units_of_text(item: TextItem, level: str, text: str | None) -> list[_TextUnit]:
    names = [token.text or "" for token in item.text.tokens]
    offsets = token_spans(item.text.tokens)
    blocks = [_block_numbers(names, offsets, text, one) for one in _larger(level)]
    if level == "token":
        units = [(name, [number]) for number, name in enumerate(names)]
    else:
        groups = grouped(names, offsets, text, level)
        units = [(group_name(group, names, text), group.tokens) for group in groups]
    return [
        _TextUnit(name, tokens, tuple(numbers[tokens[0]] for numbers in blocks))
        for name, tokens in units
    ]


def _larger(level: str) -> tuple[str, ...]:
    """The levels above one, the largest first."""
    return LEVELS[: LEVELS.index(level)] if level in LEVELS else LEVELS


def _block_numbers(
    names: Sequence[str],
    offsets: Sequence[tuple[int, int] | None],
    text: str | None,
    level: str,
) -> list[int]:
    """The number of the word, sentence or paragraph of each token."""
    numbers = [0] * len(names)
    for number, group in enumerate(grouped(names, offsets, text, level)):
        for token in group.tokens:
            numbers[token] = number
    return numbers
