"""Discretized integrated gradients: paths through words, each point of them by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from allennlp_saliency.interpret import DiscretizedIntegratedGradients, Explanation
from allennlp_saliency.interpret.methods.path.discretized_integrated_gradients import (
    STRATEGIES,
    Neighbours,
    monotonic_paths,
)
from tests.zoo import Zoo
from tests.zoo.functions import PADDING, UNKNOWN, Opened, predictor_of, spread_vectors

Discretized = DiscretizedIntegratedGradients
YES: dict[str, Any] = {"type": "logit", "label": "yes"}
# The whole embedding matrix.
VECTORS = {
    PADDING: (0.0, 0.0),
    UNKNOWN: (-6.0, -6.0),
    "a": (4.0, 4.0),
    "b": (3.0, 9.0),
    "c": (4.05, 4.05),
}
# In three steps, so through four points, from a and c to the padding; what is not between the last
# point and the padding goes a quarter of the way there instead.
# greedy, a: c has to be moved by |4.05 - 3| twice, b by 9 - 3 once: c is nearer. Then b.
# greedy, c: a as it is, then b, moved in one dimension.
# maxcount, a: b has one dimension to be moved, c two: b. Then c, all of it moved.
# maxcount, c: as greedy.
PATHS = {
    ("greedy", 4): (
        [(0, 0), (3, 2.25), (3, 3), (4, 4)],
        [(0, 0), (3, 3), (4, 4), (4.05, 4.05)],
    ),
    ("maxcount", 4): (
        [(0, 0), (2.25, 2.25), (3, 3), (4, 4)],
        [(0, 0), (3, 3), (4, 4), (4.05, 4.05)],
    ),
    # One neighbour each: a's is c and c's is a. Then there is nowhere to go but the padding.
    ("greedy", 1): (
        [(0, 0), (0, 0), (3, 3), (4, 4)],
        [(0, 0), (0, 0), (4, 4), (4.05, 4.05)],
    ),
}


def function(x: Tensor) -> Tensor:
    """F = x_1 y_2 + x_2² of tokens x and y."""
    value = x[:, 0, 0] * x[:, 1, 1] + x[:, 0, 1] ** 2
    return torch.stack([0 * value, value], 1)


def gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return np.array([y[1], 2 * x[1]]), np.array([0, x[0]])


def by_hand(first: Any, second: Any) -> list[float]:
    """Σ g(z_k) · (z_{k+1} - z_k) for two paths."""
    total = np.zeros(2)
    for k in range(len(first) - 1):
        g = gradient(first[k], second[k])
        for token, path in enumerate((first, second)):
            total[token] += g[token] @ np.subtract(path[k + 1], path[k])
    return total.tolist()


def cut(path: Any, factor: int) -> list[Any]:
    points = [np.array(path[0], dtype=float)]
    for start, end in pairwise(path):
        step = np.subtract(end, start) / factor
        points += [np.add(start, step * (piece + 1)) for piece in range(factor)]
    return points


def explain(interpreter: Any, text: str = "a c") -> Explanation:
    (explanation,) = interpreter.interpret_json({"sentence": text})
    return explanation


class TestTwoTokens:
    @pytest.mark.parametrize(("strategy", "neighbours"), PATHS)
    def test_paths(self, strategy: str, neighbours: int) -> None:
        matrix = torch.tensor(list(VECTORS.values()))
        words = matrix[[2, 4]]
        found = monotonic_paths(
            words, torch.zeros(2, 2), Neighbours(matrix, neighbours), 3, STRATEGIES[strategy]
        )
        for token, path in enumerate(PATHS[strategy, neighbours]):
            assert found[:, token].numpy() == pytest.approx(np.array(path), abs=1e-6)

    @pytest.mark.parametrize(("strategy", "neighbours"), PATHS)
    @pytest.mark.parametrize("factor", [1, 2, 5])
    def test_scores(self, strategy: str, neighbours: int, factor: int) -> None:
        predictor = predictor_of(function, VECTORS)
        interpreter = Discretized(
            predictor,
            steps=3,
            strategy=strategy,
            neighbours=neighbours,
            factor=factor,
            target=YES,
        )
        expected = by_hand(*(cut(path, factor) for path in PATHS[strategy, neighbours]))
        explanation = explain(interpreter)
        assert explanation.inputs[0].attributions == pytest.approx(expected, rel=1e-5)
        # F(x) - F(x') = 4 · 4.05 + 16, and what the sum lacks of it is told.
        assert explanation.target["value"] == pytest.approx(32.2, rel=1e-6)
        assert explanation.target["baseline_value"] == 0
        lacking = 32.2 - sum(expected)
        assert explanation.convergence_delta == pytest.approx(lacking, abs=1e-4)
        assert abs(lacking) > 0.1

    def test_finer_paths_lack_less(self) -> None:
        predictor = predictor_of(function, VECTORS)
        deltas = [
            abs(
                explain(Discretized(predictor, steps=3, factor=f, target=YES)).convergence_delta
                or 0
            )
            for f in (1, 4, 16, 64)
        ]
        assert deltas == sorted(deltas, reverse=True)
        assert deltas[-1] < deltas[0] / 40


class TestPaths:
    @pytest.mark.parametrize("strategy", STRATEGIES)
    @pytest.mark.parametrize("steps", [1, 2, 7, 60])
    @pytest.mark.parametrize("neighbours", [1, 5, 50])
    def test_monotonic_in_every_dimension(self, strategy: str, steps: int, neighbours: int) -> None:
        """Longer than there are words, too."""
        generator = torch.Generator().manual_seed(steps)
        matrix = torch.randn(40, 6, generator=generator)
        words, baselines = matrix[:12], matrix[12:24].clone()
        baselines[6:] = torch.randn(6, 6, generator=generator)  # no words at all
        baselines[0] = words[0]  # nowhere to go
        z = monotonic_paths(
            words, baselines, Neighbours(matrix, neighbours), steps, STRATEGIES[strategy]
        )
        assert z.shape == (steps + 1, 12, 6)
        assert torch.equal(z[0], baselines)
        assert torch.equal(z[-1], words)
        moves = (z[1:] - z[:-1]) * (words - baselines).sign()
        assert moves.min() >= -1e-6
        assert torch.equal(z[:, 0], words[0].expand(steps + 1, 6))
        if steps > 2:
            # They lead through words: some of the points are coordinates of words.
            shared = (z[1:-1, :, None] == matrix).any(2)
            assert shared.any()

    def test_no_word_twice(self) -> None:
        """A path through points of a line, each word of which lies between: all as they are."""
        matrix = torch.arange(10.0)[:, None].expand(10, 2)
        z = monotonic_paths(matrix[9:], matrix[:1], Neighbours(matrix, 9), 5, STRATEGIES["greedy"])
        points = z[1:, 0, 0].tolist()
        assert len(set(points)) == len(points)
        assert set(points) <= set(range(10))

    def test_neighbours_are_the_nearest(self) -> None:
        matrix = torch.randn(600, 4, generator=torch.Generator().manual_seed(1))
        graph = Neighbours(matrix, 7)
        words = torch.tensor([3, 599, 3, 17])
        distances = torch.cdist(matrix[words].double(), matrix.double())
        expected = distances.argsort(-1)[:, 1:8]
        assert graph.of(words).tolist() == expected.tolist()
        assert graph.closest(matrix[words] + 1e-4).tolist() == words.tolist()


class TestInterpreter:
    def test_batch_equals_single(self, zoo: Zoo) -> None:
        for family in ("lstm", "bert-mismatched", "pair"):
            inputs = zoo.inputs(family)[:3]
            interpreter = Discretized(zoo.predictor(family), steps=5, factor=2)
            together = interpreter.interpret_batch_json(inputs)
            for given, (packed,) in zip(inputs, together, strict=True):
                (alone,) = interpreter.interpret_json(given)
                for left, right in zip(packed.inputs, alone.inputs, strict=True):
                    assert left.attributions == pytest.approx(right.attributions, abs=1e-5)

    def test_special_tokens_stay_where_they_are(self, zoo: Zoo) -> None:
        given = "a great film"
        kept = explain(Discretized(zoo.predictor("bert"), steps=4), given).inputs[0].attributions
        assert kept[0] == kept[-1] == 0
        baseline = {"type": "pad", "keep_special_tokens": False}
        moved = explain(Discretized(zoo.predictor("bert"), steps=4, baseline=baseline), given)
        assert abs(moved.inputs[0].attributions[0]) > 1e-4

    def test_embeddings_that_their_layer_scales(self, zoo: Zoo) -> None:
        """Gemma's words stand at √dim times its matrix; the path of each begins and ends there."""
        predictor = zoo.predictor("gemma")
        seen: list[Tensor] = []

        class Spy(Discretized):
            def paths(self, space: Any, baseline: Tensor) -> Tensor:
                seen.append(super().paths(space, baseline))
                return seen[-1]

        explain(Spy(predictor, steps=6), "a great film")
        opened = Opened.of(predictor, "a great film")
        (path,) = seen[0]
        assert path[-1].view(opened.x.shape).tolist() == opened.x.tolist()
        words = predictor._model._text_field_embedder.token_embedder_tokens.transformer_model
        vectors = words.get_input_embeddings()(torch.arange(len(words.embed_tokens.weight)))
        inner = path[1:-1].view(-1, 1, 16)[(~opened.special).repeat(5)]
        assert (inner == vectors).any(-1).any(-1).float().mean() > 0.5

    @pytest.mark.parametrize(
        "wrong", [{"strategy": "best"}, {"steps": 0}, {"neighbours": 0}, {"factor": 0}]
    )
    def test_wrong_parameters(self, zoo: Zoo, wrong: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            Discretized(zoo.predictor("lstm"), **wrong)


class TestCache:
    def test_a_matrix_that_is_tuned_in_place_gets_a_graph_of_its_own(self) -> None:
        predictor = predictor_of(function, VECTORS)
        interpreter = Discretized(predictor, steps=3, target=YES)
        once = explain(interpreter).inputs[0].attributions
        weight = predictor._model.text_field_embedder.token_embedder_tokens.weight
        with torch.no_grad():
            # "b", which the text has not, but the paths go through.
            weight[predictor._model.vocab.get_token_index("b")] = torch.tensor([1.0, 2.0])
        again = explain(interpreter).inputs[0].attributions
        fresh = Discretized(predictor, steps=3, target=YES)
        assert again == explain(fresh).inputs[0].attributions
        assert np.abs(np.subtract(once, again)).max() > 0.1

    def test_one_graph_for_all_texts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[int] = []
        own = Neighbours.__init__

        def counting(self: Neighbours, matrix: Tensor, count: int) -> None:
            made.append(len(matrix))
            own(self, matrix, count)

        monkeypatch.setattr(Neighbours, "__init__", counting)
        predictor = predictor_of(function, VECTORS)
        interpreter = Discretized(predictor, steps=3, target=YES)
        for text in ("a c", "c a", "b a"):
            explain(interpreter, text)
        assert made == [5]


def test_random_words_have_neighbours() -> None:
    """The paths of a real run differ from straight ones."""
    vectors = {
        PADDING: [0.0] * 4,
        UNKNOWN: [5.0] * 4,
        **spread_vectors([f"w{n}" for n in range(30)], 4),
    }
    predictor = predictor_of(lambda x: torch.tanh(x).sum(1)[:, :2], vectors)
    found = {
        strategy: explain(Discretized(predictor, strategy=strategy, steps=8), "w1 w2")
        for strategy in STRATEGIES
    }
    greedy, maxcount = (one.inputs[0].attributions for one in found.values())
    assert np.abs(np.subtract(greedy, maxcount)).max() > 1e-4
