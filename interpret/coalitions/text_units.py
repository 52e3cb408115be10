"""The units of a text, without the model that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..explanation import JsonDict, Span
from ..inputs.json_texts import Path, json_texts, path_name
from ..inputs.segments import LEVELS, segment_spans
from .tree import Tree, nested


@dataclass(frozen=True)
class TextUnits:
    """The units of one input.

    Attributes:
        names: What each is called.
        blocks: Per unit the numbers of the larger blocks that it is in, the largest first: the text
            field, the text in it, and those of `levels`.
        tokens: Per unit its field and the numbers of its tokens there.
        levels: What the blocks after the first two are: "paragraph", "sentence", "word".
    """

    names: list[str]
    blocks: list[tuple[int, ...]]
    tokens: list[tuple[str, list[int]]]
    levels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def places(self) -> list[tuple[str, int]]:
        """Per unit its field and the number of its first token there."""
        return [(field, own[0]) for field, own in self.tokens]

    def tree(self) -> Tree:
        """The units as a binary tree: fields, paragraphs, sentences, words, cut into halves."""
        return nested(self.blocks)


@dataclass(frozen=True)
class WrittenUnits(TextUnits):
    """The units of the texts in an input's JSON; each is a token of its field.

    Attributes:
        written: Where each stands: the path of its text, and its characters.
    """

    written: tuple[tuple[Path, Span], ...] = ()


def units_of_json(json: JsonDict, level: str, keys: frozenset[str]) -> WrittenUnits:
    """The words, sentences or paragraphs of the texts in an input.

    Args:
        json: The input.
        level: "word", "sentence" or "paragraph".
        keys: The keys whose texts have units.
    """
    levels = LEVELS[: LEVELS.index(level)]
    units = WrittenUnits([], [], [], levels)
    written: list[tuple[Path, Span]] = []
    for number, (path, text) in enumerate(json_texts(json).items()):
        if path[0] not in keys:
            continue
        larger = [segment_spans(text, one) for one in levels]
        for place, span in enumerate(segment_spans(text, level)):
            units.names.append(text[slice(*span)])
            units.blocks.append((number, 0, *(_block(span, spans) for spans in larger)))
            units.tokens.append((path_name(path), [place]))
            written.append((path, span))
    return WrittenUnits(units.names, units.blocks, units.tokens, levels, tuple(written))


def _block(span: Span, spans: Sequence[Span]) -> int:
    """The number of the last block that begins before a unit does, or with it."""
    return sum(start <= span[0] for start, _ in spans) - 1
