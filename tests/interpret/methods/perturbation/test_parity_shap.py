"""Owen values beside SHAP's partition explainer, on the same tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from allennlp_saliency.interpret.coalitions.game import SetGame
from allennlp_saliency.interpret.coalitions.tree import Tree, halved, nested
from allennlp_saliency.interpret.methods.perturbation.owen import owen

from .games import GLOVE, LINEAR, MAJORITY, played

shap = pytest.importorskip("shap")

TREES = {
    "halves": lambda units: halved([Tree((unit,)) for unit in range(units)]),
    "words in sentences": lambda units: nested([(n // 4, n // 2) for n in range(units)]),
    "one sentence and the rest": lambda units: nested([(int(n > 0),) for n in range(units)]),
}


def random_game(units: int) -> SetGame:
    """Every coalition has a random value."""
    values = np.random.default_rng(0).standard_normal(2**units)
    return SetGame(units, lambda m: values[m @ (1 << np.arange(units))])


GAMES = (GLOVE, MAJORITY, LINEAR, random_game(5), random_game(8))


def linkage(tree: Tree) -> np.ndarray:
    """A tree as scipy writes it: a row for each block, of its halves, a distance and its size."""
    rows: list[list[float]] = []

    def add(block: Tree) -> int:
        if not block.halves:
            return block.members[0]
        halves = sorted(map(add, block.halves))
        rows.append([*halves, len(rows) + 1.0, len(block.members)])
        return len(tree.members) + len(rows) - 1

    add(tree)
    return np.asarray(rows)


def theirs(game: SetGame, tree: Tree, max_evals: int) -> np.ndarray:
    """SHAP's values, each block divided with and without its sibling."""

    class Masker:
        """What stays is 1."""

        clustering = linkage(tree)
        shape = (1, game.size)

        def __call__(self, mask: Any, x: Any) -> Any:
            return np.asarray(mask, dtype=float)[None]

    explainer = shap.explainers.Partition(
        lambda rows: game.function(np.asarray(rows).astype(bool)), Masker()
    )
    found: Any = explainer(np.ones((1, game.size)), max_evals=max_evals, fixed_context=None)
    return np.asarray(found.values[0])


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("number", range(len(GAMES)))
def test_the_same_values(tree: str, number: int) -> None:
    game = GAMES[number]
    own_tree = TREES[tree](game.size)
    found = played(game, owen(own_tree, 100_000))
    assert found.details["exact"]
    np.testing.assert_allclose(found.scores, theirs(game, own_tree, 100_000), atol=1e-10)


def test_the_trees_matter() -> None:
    game = random_game(8)
    values = [played(game, owen(tree(8), 100_000)).scores for tree in TREES.values()]
    assert np.abs(values[0] - values[2]).max() > 1e-2
