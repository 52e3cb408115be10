"""Copies of a space's instances at other points, against a function that is written down."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from allennlp_saliency.interpret import Target
from allennlp_saliency.interpret.interpreter.labels.labelling import label_json
from allennlp_saliency.interpret.model.twin import Twin
from allennlp_saliency.interpret.registry import construct
from allennlp_saliency.interpret.space.packing import TokenBudget
from allennlp_saliency.interpret.space.session import Session
from allennlp_saliency.interpret.space.variants.layer_space import LayerSpace
from allennlp_saliency.interpret.space.variants.moved_space import MovedSpace, moved
from allennlp_saliency.interpret.target.row_loss import RowLoss
from tests.interpret.space.test_embedding_space import (
    DIM,
    MEAN,
    VECTORS,
    WORDS,
    YES,
    counted,
    doubled_loss,
    gradient,
    random_points,
    space_of,
    squares,
    value,
)
from tests.zoo.functions import predictor_of


class TestOwnPoints:
    def test_a_copy_of_each_instance_at_each_point(self) -> None:
        space, x = space_of(), random_points(4)
        copies = moved(space, x.view(2, 2, 3 * DIM))
        assert copies.instances == space.instances * 2
        assert torch.equal(copies.embeddings, x.flatten(1))
        assert torch.allclose(copies.values, value(x), rtol=1e-5)
        assert torch.allclose(copies.input_gradients, gradient(x).flatten(1), rtol=1e-4)
        assert copies.layout.tokens.tolist() == space.layout.tokens.tolist() * 2

    def test_gradients_give_the_values_too(self) -> None:
        space, x = space_of(), random_points(4)
        copies = moved(space, x.view(2, 2, 3 * DIM))
        passes = counted(space)
        assert copies.input_gradients.shape == (4, 9)
        assert torch.allclose(copies.values, value(x), rtol=1e-5)
        assert passes == [4]

    def test_values_of_rows_that_share_one_loss(self) -> None:
        space, x = space_of(target="log-likelihood", losses=MEAN), random_points(4)
        copies = moved(space, x.view(2, 2, 3 * DIM))
        assert copies.mixes_rows
        assert copies.input_gradients.shape == (4, 9)
        assert torch.allclose(copies.values, -doubled_loss(x), rtol=1e-5)

    def test_some_instances_several_times(self) -> None:
        space, x = space_of(), random_points(3)
        copies = MovedSpace(space, torch.tensor([1, 0, 1]), x.flatten(1))
        first, second = space.instances
        assert copies.instances == [second, first, second]
        tokens = space.layout.tokens.tolist()
        assert copies.layout.tokens.tolist() == [tokens[1], tokens[0], tokens[1]]
        assert torch.equal(copies.embeddings, x.flatten(1))
        assert torch.allclose(copies.values, value(x), rtol=1e-5)

    def test_what_is_the_spaces_own(self) -> None:
        space = space_of()
        copies = moved(space, random_points(2).view(1, 2, 3 * DIM))
        for name in ("session", "target", "model", "vocab", "device", "rounding", "random"):
            assert getattr(copies, name) == getattr(space, name)
        assert copies.tokens_per_row == space.tokens_per_row == 3
        assert copies.unsaturated_target == space.unsaturated_target
        assert copies.mixes_rows is False
        assert copies.at_input_embeddings() is copies


class TestOtherPoints:
    """A copy has the label of its instance, wherever a method goes from its point."""

    ORDERED = sorted(WORDS, key=lambda word: VECTORS[word][0])
    SIGNS = torch.tensor([-1.0, 1.0])

    def copies(self) -> MovedSpace:
        """Of a text whose label is the first logit's, and one whose label is the second's."""

        def first_word(x: Tensor) -> Tensor:
            return torch.stack([x[:, 0, 0], -x[:, 0, 0]], dim=-1)

        space = space_of(first_word, "logit", (self.ORDERED[0], self.ORDERED[-1]), budget=2)
        return MovedSpace(space, torch.tensor([1, 1, 0]), torch.zeros(3, DIM))

    def test_values_and_gradients(self) -> None:
        copies, points = self.copies(), torch.arange(1.0, 13.0).view(4, 3)
        rows = torch.tensor([2, 0, 1, 2])
        signs = self.SIGNS[torch.tensor([0, 1, 1, 0])]
        expected = (signs * points[:, 0]).double()
        assert torch.equal(copies.evaluate(points, rows), expected)
        seen = []
        for numbers, values, gradients in copies.values_and_gradients(points, rows):
            assert len(numbers) <= 2
            assert values is not None
            assert torch.equal(values, expected[numbers])
            assert torch.equal(gradients[:, 0], signs[numbers])
            seen += numbers.tolist()
        assert seen == [0, 1, 2, 3]
        made = copies.gradients(points, rows, lambda numbers, found: 10 * found[:, 0] + numbers)
        found = torch.cat([one for _, one in made])
        assert torch.equal(found, 10 * signs + torch.arange(4))
        assert [chunk.rows.tolist() for chunk in copies.batches(rows)] == [[0, 1], [2, 3]]

    def test_a_leaf(self) -> None:
        copies, points = self.copies(), torch.ones(2, 3)
        leaf, values = copies.leaf_and_values(points, torch.tensor([2, 1]))
        assert values.tolist() == [-1.0, 1.0]
        assert copies.gradient(values, leaf)[:, 0].tolist() == [-1.0, 1.0]


class Doubling(nn.Module):
    """Two blocks that double their states; then Σ (w · s_t)² of what they are."""

    class Block(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    def __init__(self) -> None:
        super().__init__()
        self.stack = nn.ModuleList([self.Block(), self.Block()])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.stack:
            x = block(x)
        return squares(x)


class TestStatesOfALayer:
    """Points are given at the input embeddings, whatever the coordinates."""

    def space(self) -> LayerSpace:
        twin = Twin(predictor_of(Doubling(), VECTORS))
        texts: Any = [{"sentence": text} for text in ("up down left", "right")]
        instances = [one.instances[0].instance for one in label_json(twin.predictor, texts, True)]
        session = Session(twin, construct(Target, YES), TokenBudget(1000))
        return LayerSpace(session, instances, RowLoss(), "function.stack.0")

    @pytest.mark.parametrize("rows", [[0, 1], [1, 0, 1, 1], [0, 0]])
    def test_copies_of_one_instance(self, rows: list[int]) -> None:
        space, x = self.space(), random_points(len(rows))
        copies = MovedSpace(space, torch.tensor(rows), x.flatten(1))
        assert torch.equal(copies.embeddings, 2 * x.flatten(1))
        # Of F(2 s): 4 F(s).
        assert torch.allclose(copies.values, 4 * value(2 * x), rtol=1e-5)
        assert torch.allclose(copies.input_gradients, 4 * gradient(2 * x).flatten(1), rtol=1e-4)

    def test_their_input_embeddings(self) -> None:
        space, x = self.space(), random_points(3)
        first = MovedSpace(space, torch.tensor([1, 0, 1]), x.flatten(1)).at_input_embeddings()
        assert torch.equal(first.embeddings, x.flatten(1))
        assert torch.allclose(first.values, value(4 * x), rtol=1e-5)
        assert first.instances == [space.instances[row] for row in (1, 0, 1)]
