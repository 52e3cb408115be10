"""Units of a text as a binary tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tree:
    """Neighbouring units.

    Attributes:
        members: Their numbers, in order.
        halves: The two blocks that they are made of; empty for one unit.
    """

    members: tuple[int, ...]
    halves: tuple[Tree, ...] = ()


def halved(blocks: Sequence[Tree]) -> Tree:
    """Blocks that stand side by side as one, by cutting them into halves again and again.

    Args:
        blocks: At least one.
    """
    if len(blocks) == 1:
        return blocks[0]
    middle = (len(blocks) + 1) // 2
    first, second = halved(blocks[:middle]), halved(blocks[middle:])
    return Tree((*first.members, *second.members), (first, second))


def nested(groups: Sequence[Sequence[int]]) -> Tree:
    """Units under what they are part of, on several levels.

    Args:
        groups: Per unit the numbers of the blocks that it is in, the largest block first:
            `[paragraph, sentence, word]`. Units of a block stand together.
    """
    return _nested(list(range(len(groups))), groups, 0)


def _nested(units: Sequence[int], groups: Sequence[Sequence[int]], level: int) -> Tree:
    if level == len(groups[units[0]]):
        return halved([Tree((unit,)) for unit in units])
    blocks: dict[int, list[int]] = {}
    for unit in units:
        blocks.setdefault(groups[unit][level], []).append(unit)
    return halved([_nested(own, groups, level + 1) for own in blocks.values()])
