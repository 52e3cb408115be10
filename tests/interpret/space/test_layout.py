"""Coordinates, positions and tokens of calls that are written down by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.model.embedding_layers import EmbeddingLayer
from allennlp_saliency.interpret.positions import HELD, PADDING, UNASSIGNED
from allennlp_saliency.interpret.space.layout import EmbeddingCall, Layout

U, P = UNASSIGNED, PADDING


def call_of(tokens: list[list[int]], dim: int = 2, **changed: Any) -> EmbeddingCall:
    """A call for instances whose positions hold these tokens, all of the field "text"."""
    own = torch.tensor(tokens)
    module = changed.pop("module", nn.Identity())
    settings: dict[str, Any] = {
        "names": ("text",),
        "shape": (*own.shape, dim),
        "transposed": False,
        "fields": torch.zeros_like(own),
        "special": own == U,
        **changed,
    }
    return EmbeddingCall(
        layer=EmbeddingLayer(module),
        indexer=None,
        dtype=torch.float32,
        device=torch.device("cpu"),
        positions=own.shape[1],
        dim=dim,
        tokens=own,
        **settings,
    )


def numbered(*shape: int) -> Tensor:
    return torch.arange(torch.tensor(shape).prod()).float().view(shape)


class TestRows:
    """A layer's output, and the same as rows of positions."""

    TOKENS = ((0, 1, 2), (0, 1, P))

    @pytest.mark.parametrize(
        ("shape", "transposed"),
        [((2, 3, 2), False), ((3, 2, 2), True), ((6, 1, 2), False), ((1, 6, 2), True)],
    )
    def test_there_and_back(self, shape: tuple[int, ...], transposed: bool) -> None:
        call = call_of([list(row) for row in self.TOKENS], shape=shape, transposed=transposed)
        output = numbered(*shape)
        rows = call.to_rows(output)
        batch_first = output.transpose(0, 1) if transposed else output
        assert torch.equal(rows, batch_first.reshape(2, 3, 2))
        assert torch.equal(call.from_rows(rows), output)

    @pytest.mark.parametrize("transposed", [False, True])
    def test_more_rows_than_instances(self, transposed: bool) -> None:
        """Two list items of three positions for each of five copies."""
        shape = (3, 4, 2) if transposed else (4, 3, 2)
        call = call_of([[0, 1, 2, 3, 4, 5]] * 2, shape=shape, transposed=transposed)
        part = numbered(5, 6, 2)
        items = part.view(10, 3, 2)
        assert torch.equal(call.from_rows(part), items.transpose(0, 1) if transposed else items)

    @pytest.mark.parametrize("transposed", [False, True])
    def test_a_call_for_copies(self, transposed: bool) -> None:
        shape = (3, 4, 2) if transposed else (4, 3, 2)
        tokens = [[0, 1, 2, 3, 4, 5], [0, U, P, P, P, P]]
        call = call_of(tokens, shape=shape, transposed=transposed, names=("text", "other"))
        copies = call.of_rows(torch.tensor([1, 0, 1]))
        assert copies.shape == ((3, 6, 2) if transposed else (6, 3, 2))
        assert copies.tokens.tolist() == [tokens[1], tokens[0], tokens[1]]
        assert copies.special.tolist() == [[n == U for n in tokens[row]] for row in (1, 0, 1)]
        assert copies.fields.shape == (3, 6)
        assert (copies.positions, copies.dim, copies.size) == (6, 2, 12)
        part = numbered(3, 6, 2)
        assert torch.equal(copies.to_rows(copies.from_rows(part)), part)

    def test_copies_of_one_instance(self) -> None:
        copies = call_of([[0, 1, 2]], shape=(1, 3, 2)).of_rows(torch.tensor([0, 0, 0, 0]))
        assert copies.shape == (4, 3, 2)
        assert copies.tokens.tolist() == [[0, 1, 2]] * 4
        # None of an instance is none.
        assert copies.of_rows(torch.tensor([], dtype=torch.long)).shape == (0, 3, 2)


class TestTokens:
    def test_of_one_field(self) -> None:
        fields = torch.tensor([[0, 0, 1, 1]])
        call = call_of([[0, 1, 0, HELD]], names=("first", "second"), fields=fields)
        assert call.tokens_of("first").tolist() == [[0, 1, P, P]]
        assert call.tokens_of("second").tolist() == [[P, P, 0, HELD]]
        assert call.tokens_of("third").tolist() == [[P, P, P, P]]
        assert call.what == "'first' and 'second'"

    def test_of_several_calls(self) -> None:
        layout = Layout(
            (
                call_of([[U, 0, P]], names=("second",)),
                call_of([[0, 1]], names=("first",)),
                call_of([[HELD]], names=("second",)),
            )
        )
        assert layout.names == ("second", "first")
        assert layout.tokens.tolist() == [[U, 0, P, 0, 1, HELD]]
        assert layout.tokens_of("second").tolist() == [[U, 0, P, P, P, HELD]]
        assert layout.tokens_of("first").tolist() == [[P, P, P, 0, 1, P]]
        assert layout.special.tolist() == [[True, *[False] * 5]]
        assert layout.present.tolist() == [[True, True, False, True, True, False]]
        assert layout.held.tolist() == [[*[False] * 5, True]]
        assert [layout.positions_of(number) for number in range(3)] == [
            slice(0, 3),
            slice(3, 5),
            slice(5, 6),
        ]


class TestUnits:
    """What changes together: a token with all its pieces, or a position of no token."""

    def units(self, *calls: EmbeddingCall) -> list[list[list[int]]]:
        """Of each instance the units, by the positions in each."""
        found = Layout(calls).units
        assert found.dtype == torch.bool
        return [[one.nonzero().flatten().tolist() for one in row if one.any()] for row in found]

    def test_pieces_of_a_token(self) -> None:
        assert self.units(call_of([[U, 0, 0, 1, U, P], [U, 0, 1, 2, 2, U]])) == [
            [[0], [1, 2], [3], [4]],
            [[0], [1], [2], [3, 4], [5]],
        ]

    def test_all_calls_of_a_field(self) -> None:
        """A token of the same number in another field is another."""
        pieces = call_of([[U, 0, 1]], names=("text",))
        other = call_of([[0, U]], names=("other",))
        words = call_of([[0, 1, U]], dim=3, names=("text",))
        assert self.units(pieces, other, words) == [[[0], [1, 5], [2, 6], [3], [4], [7]]]

    def test_fields_of_one_call(self) -> None:
        fields = torch.tensor([[0, 0, 1, 1]])
        call = call_of([[0, U, 0, U]], names=("first", "second"), fields=fields)
        assert self.units(call) == [[[0], [1], [2], [3]]]

    def test_what_does_not_change_is_in_none(self) -> None:
        assert self.units(call_of([[HELD, 0, P], [P, P, P]])) == [[[1]], []]
        assert Layout((call_of([[HELD, P]]),)).units.shape == (1, 0, 2)
        assert Layout((call_of([[]]),)).units.shape == (1, 0, 0)


class TestCoordinates:
    """Two positions of two numbers, then three of one."""

    LAYOUT = Layout((call_of([[0, 1]] * 3), call_of([[0, 1, 2]] * 3, dim=1)))

    def test_split_and_join(self) -> None:
        points = numbered(3, 7)
        first, second = self.LAYOUT.split(points)
        assert torch.equal(first, points[:, :4].reshape(3, 2, 2))
        assert torch.equal(second, points[:, 4:].reshape(3, 3, 1))
        assert torch.equal(self.LAYOUT.join([first, second]), points)
        # More dimensions in front are kept.
        assert self.LAYOUT.split(points[None])[0].shape == (1, 3, 2, 2)
        assert torch.equal(self.LAYOUT.join(self.LAYOUT.split(points[None])), points[None])

    def test_one_call(self) -> None:
        layout, points = Layout((call_of([[0, 1]]),)), numbered(1, 4)
        (part,) = layout.split(points)
        assert torch.equal(part, points.view(1, 2, 2))
        assert torch.equal(layout.join([part]), points)
        assert torch.equal(layout.expand(torch.tensor([[5, 6]])), torch.tensor([[5, 5, 6, 6]]))

    def test_a_number_per_position(self) -> None:
        numbers = torch.tensor([[1.0, 2, 3, 4, 5]])
        expanded = self.LAYOUT.expand(numbers)
        assert expanded.tolist() == [[1, 1, 2, 2, 3, 4, 5]]
        assert self.LAYOUT.position_sums(expanded).tolist() == [[2, 4, 3, 4, 5]]


class Scaled(nn.Embedding):
    def forward(self, input: Tensor) -> Tensor:
        return 3 * super().forward(input)


class WithPlaces(nn.Embedding):
    """Where a word stands counts."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + torch.arange(input.shape[1]).view(1, -1, 1)


class Pairs(nn.Embedding):
    def forward(self, input: Tensor) -> Any:
        return super().forward(input), None


def spread(kind: type[nn.Embedding], words: int = 30, dim: int = 2) -> nn.Embedding:
    torch.manual_seed(0)
    return kind(words, dim)


class TestWordVectors:
    def test_a_matrix_is_not_copied(self) -> None:
        module = spread(nn.Embedding)
        assert call_of([[0]], module=module).word_vectors() is module.weight

    def test_what_the_layer_makes_of_it(self) -> None:
        module = spread(Scaled)
        found = call_of([[0]], module=module).word_vectors()
        assert torch.allclose(found, 3 * module.weight)
        assert not found.requires_grad

    @pytest.mark.parametrize("words", [1, 5, 100])
    def test_of_few_and_of_many_words(self, words: int) -> None:
        module = spread(Scaled, words)
        found = call_of([[0]], module=module).word_vectors()
        assert torch.allclose(found, 3 * module.weight)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: spread(WithPlaces),
            lambda: spread(nn.Embedding, dim=3),  # its vectors are no coordinates
            lambda: nn.Linear(2, 2),
            lambda: nn.LayerNorm(2),
            nn.Identity,
        ],
    )
    def test_no_matrix_of_words(self, make: Callable[[], nn.Module]) -> None:
        module = make()
        told = f"{type(module).__name__} of 'text' is no matrix of word vectors"
        with pytest.raises(InterpretationError, match=told):
            call_of([[0]], module=module).word_vectors()


class TestEmbed:
    @pytest.mark.parametrize(("kind", "scale"), [(nn.Embedding, 1), (Scaled, 3), (Pairs, 1)])
    def test_a_word(self, kind: type[nn.Embedding], scale: int) -> None:
        module = spread(kind)
        vector = call_of([[0]], module=module).embed(7)
        assert torch.allclose(vector, scale * module.weight[7])
        assert (vector.shape, vector.requires_grad) == ((2,), False)

    def test_a_layer_that_takes_vectors(self) -> None:
        told = r"Linear of 'text' does not embed a token by its index; use the baseline 'zero'"
        with pytest.raises(InterpretationError, match=told):
            call_of([[0]], module=nn.Linear(2, 2)).embed(7)
