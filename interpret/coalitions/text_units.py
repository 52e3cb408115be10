"""The units of a text, without the model that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..explanation import JsonDict, Span
from ..inputs.given_units import GivenUnits
from ..inputs.json_texts import Place, json_texts, path_name
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
        written: Where each stands in the input's JSON; empty where only its
            tokens are known.
        texts: The text of each field, where it is known.
    """

    names: list[str]
    blocks: list[tuple[int, ...]]
    tokens: list[tuple[str, list[int]]]
    levels: tuple[str, ...] = ()
    written: tuple[Place, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def places(self) -> list[tuple[str, int]]:
        """Per unit its field and the number of its first token there."""
        return [(field, own[0]) for field, own in self.tokens]

    def tree(self) -> Tree:
        """The units as a binary tree: fields, paragraphs, sentences, words, cut into halves."""
        return nested(self.blocks)


def units_of_json(json: JsonDict, level: str, keys: frozenset[str], given: GivenUnits) -> TextUnits:
    """The units of the texts in an input; each is a token of its field.

    Args:
        json: The input.
        level: "word", "sentence" or "paragraph".
        keys: The keys whose texts have units.
        given: The units that the user gives, which are all that there are then.
    """
    names: list[str] = []
    blocks: list[tuple[int, ...]] = []
    tokens: list[tuple[str, list[int]]] = []
    written: list[Place] = []
    levels = () if given else LEVELS[: LEVELS.index(level)]
    for number, (path, text) in enumerate(json_texts(json).items()):
        if path[0] not in keys:
            continue
        larger = [segment_spans(text, one) for one in levels]
        spans = given.get(path, ()) if given else segment_spans(text, level)
        for place, span in enumerate(spans):
            names.append(text[slice(*span)])
            blocks.append((number, 0, *(_block(span, one) for one in larger)))
            tokens.append((path_name(path), [place]))
            written.append((path, span))
    texts = {path_name(path): text for path, text in json_texts(json).items() if path[0] in keys}
    return TextUnits(names, blocks, tokens, levels, tuple(written), texts)


def _block(span: Span, spans: Sequence[Span]) -> int:
    """The number of the last block that begins before a unit does, or with it."""
    return sum(start <= span[0] for start, _ in spans) - 1
