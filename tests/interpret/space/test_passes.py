"""Passes at other points: what stands in for the embeddings, and which models take none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.model.embedding_layers import EmbeddingLayer
from allennlp_saliency.interpret.positions import PADDING
from allennlp_saliency.interpret.space.layout import EmbeddingCall, Layout
from allennlp_saliency.interpret.space.passes import differentiate, run_at

DIM = 3
LEFT = [[PADDING, PADDING, 0, 1], [0, 1, 2, 3]]
RIGHT = [[0, 1, PADDING, PADDING], [0, 1, 2, 3]]


class Embeds(nn.Module):
    """Returns what its layer does for indices, and calls it as often as told."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.words = nn.Embedding(5, DIM)
        self.times = times

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        states = torch.zeros(*ids.shape, DIM)
        for _ in range(self.times):
            states = self.words(ids)
        return {"states": states}


def layout_of(layer: nn.Module, tokens: Sequence[Sequence[int]], **changed: Any) -> Layout:
    """One call of a layer for instances whose positions hold these tokens."""
    own = torch.tensor(tokens)
    settings: dict[str, Any] = {
        "shape": (*own.shape, DIM),
        "transposed": False,
        "dtype": torch.float32,
        "positions": own.shape[1],
        "dim": DIM,
        **changed,
    }
    call = EmbeddingCall(
        layer=EmbeddingLayer(layer),
        names=("passage",),
        indexer=None,
        device=torch.device("cpu"),
        fields=torch.zeros_like(own),
        tokens=own,
        special=torch.zeros_like(own, dtype=torch.bool),
        **settings,
    )
    return Layout((call,))


def points_of(layout: Layout, rows: int) -> tuple[Tensor, Tensor]:
    """Points, `(rows, size)`, and the same vectors, `(rows, positions, dim)`."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(rows, layout.calls[0].positions, DIM, generator=generator)
    return vectors.flatten(1), vectors


def states_at(model: Any, layout: Layout, points: Tensor, ids: Tensor, rows: Any) -> Tensor:
    twin: Any = SimpleNamespace(model=model)
    found: Tensor = run_at(twin, layout, {"ids": ids}, points, rows)["states"]
    return found


class TestPaddingThatIsLeftOut:
    """A model may shorten a batch to what its rows need."""

    @pytest.mark.parametrize(
        ("tokens", "width", "kept"),
        [
            (RIGHT, 2, slice(0, 2)),
            (RIGHT, 3, slice(0, 3)),
            (RIGHT, 4, slice(0, 4)),
            (LEFT, 2, slice(2, 4)),
            (LEFT, 3, slice(1, 4)),
            ([[PADDING, 0, 1, PADDING], [0, 1, 2, 3]], 3, slice(0, 3)),
        ],
    )
    def test_the_other_positions_have_the_points(
        self, tokens: list[list[int]], width: int, kept: slice
    ) -> None:
        model = Embeds()
        layout = layout_of(model.words, tokens)
        points, vectors = points_of(layout, 3)
        ids, rows = torch.ones(3, width, dtype=torch.long), torch.tensor([0, 0, 0])
        assert torch.equal(states_at(model, layout, points, ids, rows), vectors[:, kept])

    @pytest.mark.parametrize(
        ("tokens", "width", "rows"),
        [
            (RIGHT, 1, [0, 0]),  # a token is missing
            (LEFT, 1, [0, 0]),
            (RIGHT, 2, [0, 1]),  # the second row needs all positions
            (LEFT, 2, [1, 0]),
            ([[PADDING, 0, 1, PADDING], [0, 1, 2, 3]], 2, [0, 0]),
            (RIGHT, 5, [0, 0]),  # more positions than the instances had
            (RIGHT, 2, None),  # nobody says which instances the rows hold
        ],
    )
    def test_tokens_are_never_left_out(
        self, tokens: list[list[int]], width: int, rows: list[int] | None
    ) -> None:
        model = Embeds()
        layout = layout_of(model.words, tokens)
        points, _ = points_of(layout, 2)
        ids = torch.ones(2, width, dtype=torch.long)
        told = rf"'passage' returned shape \(2, {width}, 3\) .*expected \(2, 4, 3\); .* rows"
        given = None if rows is None else torch.tensor(rows)
        with pytest.raises(InterpretationError, match=told):
            states_at(model, layout, points, ids, given)

    def test_list_items_are_rows_of_the_layer(self) -> None:
        """An instance has two items of two positions, of which one may be padding in all items."""
        model = Embeds()
        layout = layout_of(model.words, [[0, PADDING, 1, PADDING], [0, 1, 2, 3]], shape=(4, 2, DIM))
        points, vectors = points_of(layout, 2)
        items = vectors.view(4, 2, DIM)
        for width, rows in ((2, [0, 1]), (2, [0, 0]), (1, [0, 0])):
            ids = torch.ones(4, width, dtype=torch.long)
            found = states_at(model, layout, points, ids, torch.tensor(rows))
            assert torch.equal(found, items[:, :width])
        with pytest.raises(InterpretationError, match=r"expected \(4, 2, 3\)"):
            states_at(model, layout, points, ids, torch.tensor([0, 1]))

    def test_positions_that_come_first_stay_whole(self) -> None:
        model = Embeds()
        padding = [[PADDING] * 4, [PADDING] * 4]
        layout = layout_of(model.words, padding, shape=(4, 2, DIM), transposed=True)
        points, vectors = points_of(layout, 2)
        rows = torch.tensor([0, 1])
        whole = states_at(model, layout, points, torch.ones(4, 2, dtype=torch.long), rows)
        assert torch.equal(whole, vectors.transpose(0, 1))
        # The batch is not the dimension that is shorter.
        with pytest.raises(InterpretationError, match=r"expected \(4, 2, 3\)"):
            states_at(model, layout, points, torch.ones(4, 1, dtype=torch.long), rows)


class TestCalls:
    @pytest.mark.parametrize(("times", "which"), [(0, "fewer"), (2, "more")])
    def test_the_model_calls_its_layers_as_it_did(self, times: int, which: str) -> None:
        model = Embeds(times)
        layout = layout_of(model.words, RIGHT)
        points, _ = points_of(layout, 2)
        told = rf"called its embedding layers {which} than 1 times.*must not depend on"
        with pytest.raises(InterpretationError, match=told):
            states_at(model, layout, points, torch.ones(2, 4, dtype=torch.long), None)

    def test_layers_take_turns(self) -> None:
        """Each call has its own points, and another layer's output is never replaced by them."""
        first, second = nn.Embedding(5, DIM), nn.Embedding(5, DIM)
        layout = Layout(layout_of(first, RIGHT).calls + layout_of(second, LEFT).calls)
        vectors = torch.randn(2, 2, 4, DIM, generator=torch.Generator().manual_seed(0))
        points = torch.cat([vectors[0].flatten(1), vectors[1].flatten(1)], dim=1)
        ids = torch.ones(2, 4, dtype=torch.long)

        def in_turn(ids: Tensor) -> dict[str, Tensor]:
            return {"states": torch.stack([first(ids), second(ids)])}

        assert torch.equal(states_at(in_turn, layout, points, ids, None), vectors)

        def in_another_order(ids: Tensor) -> dict[str, Tensor]:
            return {"states": torch.stack([second(ids), first(ids)])}

        with pytest.raises(InterpretationError, match="treat the rows of a batch alike"):
            states_at(in_another_order, layout, points, ids, None)

    def test_what_the_model_writes_into_is_no_point(self) -> None:
        model = Embeds()
        layout = layout_of(model.words, RIGHT)
        points, vectors = points_of(layout, 2)

        def doubles(ids: Tensor) -> dict[str, Tensor]:
            return {"states": model.words(ids).mul_(2)}

        ids = torch.ones(2, 4, dtype=torch.long)
        assert torch.equal(states_at(doubles, layout, points, ids, None), 2 * vectors)
        assert torch.equal(points, vectors.flatten(1))

    def test_the_model_gets_its_own_floating_type(self) -> None:
        model = Embeds().half()
        layout = layout_of(model.words, RIGHT, dtype=torch.float16)
        points, vectors = points_of(layout, 2)
        found = states_at(model, layout, points, torch.ones(2, 4, dtype=torch.long), None)
        assert found.dtype == torch.float16
        assert torch.equal(found, vectors.half())


class TestDifferentiate:
    def test_zero_where_a_leaf_has_no_part(self) -> None:
        x, other = (torch.ones(2, 3, requires_grad=True) for _ in range(2))
        found = differentiate((x**2).sum(1) * torch.tensor([1.0, 3.0]), [x, other], Embeds())
        assert torch.equal(found[0], torch.tensor([[2.0] * 3, [6.0] * 3]))
        assert torch.equal(found[1], torch.zeros(2, 3))

    @pytest.mark.parametrize(
        ("raised", "passed_on"),
        [
            (lambda: torch.OutOfMemoryError("CUDA out of memory."), True),
            (lambda: InterpretationError("the user's own"), True),
            (lambda: ValueError("no such derivative"), False),
        ],
    )
    def test_errors(self, raised: Callable[[], Exception], passed_on: bool) -> None:
        """Memory is handled by whoever made the batch, and what names a way out has one."""

        class Fails(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Tensor) -> Tensor:
                return x.clone()

            @staticmethod
            def backward(ctx: Any, *gradients: Any) -> Any:
                raise raised()

        x = torch.ones(2, requires_grad=True)
        values: Any = Fails.apply(x)
        if passed_on:
            with pytest.raises(type(raised()), match=str(raised())):
                differentiate(values, [x], Embeds())
            return
        told = r"Embeds cannot be differentiated.*ValueError: no such derivative.*values only"
        with pytest.raises(InterpretationError, match=told) as found:
            differentiate(values, [x], Embeds())
        assert isinstance(found.value.__cause__, ValueError)
