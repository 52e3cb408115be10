"""Vectors to scores, wordpieces to tokens, scores to shares: all by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from allennlp_saliency.interpret import Aggregation, Normalization, Reduction
from allennlp_saliency.interpret.model.embedding_layers import EmbeddingLayer
from allennlp_saliency.interpret.positions import PADDING, UNASSIGNED
from allennlp_saliency.interpret.reduction import drop_padding, reduce_coordinates, unassigned
from allennlp_saliency.interpret.space.layout import EmbeddingCall, Layout

finite = st.floats(allow_nan=False, allow_infinity=False)


def call(name: str, dim: int) -> EmbeddingCall:
    """A call that returned two positions of one instance."""
    none = torch.zeros(1, 2, dtype=torch.long)
    return EmbeddingCall(
        layer=EmbeddingLayer(torch.nn.Identity()),
        names=(name,),
        indexer=None,
        shape=(1, 2, dim),
        transposed=False,
        dtype=torch.float32,
        device=torch.device("cpu"),
        positions=2,
        dim=dim,
        fields=none,
        tokens=none,
        special=none.bool(),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mean-abs", [3.5, 0.0]), ("l1", [7.0, 0.0]), ("l2", [5.0, 0.0]), ("sum", [-1.0, 0.0])],
)
def test_reductions(name: str, expected: list[float]) -> None:
    vectors = torch.tensor([[3.0, -4.0], [0.0, 0.0]])
    assert Reduction.by_name(name)()(vectors).tolist() == expected


def test_calls_of_several_sizes_are_reduced_apart() -> None:
    layout = Layout((call("a", 1), call("b", 3)))
    coordinates = torch.tensor([[1.0, -2.0, 1, 2, 3, -4, -5, -6]])
    found = reduce_coordinates(coordinates, layout, Reduction.by_name("mean-abs")())
    assert found.tolist() == [[1, 2, 2, 5]]
    assert layout.expand(torch.tensor([[1.0, 2, 3, 4]])).tolist() == [[1, 2, 3, 3, 3, 4, 4, 4]]
    assert torch.equal(layout.join(layout.split(coordinates)), coordinates)


class TestWordpieces:
    scores = torch.tensor([0.5, 1.0, -3.0, 4.0, 0.25, 8.0])
    # One special token, a word of two pieces, one that has none, one of one piece.
    tokens = torch.tensor([UNASSIGNED, 0, 0, 2, UNASSIGNED, PADDING])

    @pytest.mark.parametrize(("name", "expected"), [("sum", [-2.0, 0, 4]), ("mean", [-1.0, 0, 4])])
    def test_aggregations(self, name: str, expected: list[float]) -> None:
        found = Aggregation.by_name(name)()(self.scores, self.tokens, 3)
        assert found.tolist() == expected

    def test_the_rest_is_told(self) -> None:
        assert unassigned(self.scores, self.tokens).item() == 0.75

    def test_padding_counts_for_nothing(self) -> None:
        kept = drop_padding(self.scores[None], self.tokens[None])
        assert kept.tolist() == [[0.5, 1.0, -3.0, 4.0, 0.25, 0.0]]

    def test_nothing_is_lost_but_padding(self) -> None:
        found = Aggregation.by_name("sum")()(self.scores, self.tokens, 3)
        total = found.sum() + unassigned(self.scores, self.tokens)
        assert total == self.scores[:-1].sum()


class TestNormalizations:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("l1-abs", [0.25, 0.75, 0.0]),
            ("l1", [0.25, -0.75, 0.0]),
            ("max-abs", [1 / 3, -1.0, 0.0]),
            ("none", [1.0, -3.0, 0.0]),
        ],
    )
    def test_by_hand(self, name: str, expected: list[float]) -> None:
        assert Normalization.by_name(name)()([1.0, -3.0, 0.0]) == pytest.approx(expected)

    @pytest.mark.parametrize("name", ["l1-abs", "l1", "max-abs", "none"])
    def test_nothing_stays_nothing(self, name: str) -> None:
        assert Normalization.by_name(name)()([]) == []
        assert Normalization.by_name(name)()([0.0, 0.0]) == [0.0, 0.0]

    @given(st.lists(finite, min_size=1, max_size=20))
    def test_shares_of_any_numbers(self, scores: list[float]) -> None:
        shares = Normalization.by_name("l1-abs")()(scores)
        signed = Normalization.by_name("l1")()(scores)
        assert [abs(share) for share in signed] == shares
        assert all(map(math.isfinite, shares))
        assert min(shares) >= 0
        assert sum(shares) == pytest.approx(1 if any(scores) else 0, abs=1e-6)

    @given(st.lists(finite, min_size=1, max_size=20))
    def test_the_strongest_is_one(self, scores: list[float]) -> None:
        found = Normalization.by_name("max-abs")()(scores)
        assert all(map(math.isfinite, found))
        assert max(map(abs, found)) == (1 if any(scores) else 0)
