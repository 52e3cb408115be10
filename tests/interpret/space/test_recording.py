"""What a recording says of the calls of layers: whose texts they embedded, and which it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.inputs.collation import collate
from allennlp_saliency.interpret.model.embedding_layers import (
    EmbeddingLayer,
    EmbeddingLayers,
    find_embedding_layers,
)
from allennlp_saliency.interpret.model.twin import Twin
from allennlp_saliency.interpret.space.recording import RecordedCall, Recording, record
from tests.zoo.functions import predictor_of, spread_vectors

DIM = 3
FIRST = torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]])
SECOND = torch.tensor([[5, 8], [6, 0]])
MODEL: Any = nn.Module()


def layer_of(embeds: bool = True) -> EmbeddingLayer:
    return EmbeddingLayer(nn.Embedding(10, DIM) if embeds else nn.Linear(DIM, DIM), embeds=embeds)


def field(ids: Tensor) -> dict[str, dict[str, Tensor]]:
    return {"tokens": {"tokens": ids}}


def vectors(*shape: int) -> Tensor:
    return torch.randn(*shape, DIM, generator=torch.Generator().manual_seed(0))


def two_fields() -> tuple[dict[str, Any], Recording]:
    collated = {"first": field(FIRST), "second": field(SECOND), "label": torch.tensor([0, 1])}
    return collated, Recording(collated, 2)


class TestLeaves:
    def test_the_model_goes_on_with_a_copy_of_a_leaf(self) -> None:
        recording = Recording({"text": field(FIRST)}, 2)
        output = vectors(2, 4).requires_grad_() * 2
        before = output.detach().clone()
        given = recording.layer(layer_of(), (FIRST,), output)
        # The model may write into what it is given, and leaves end at the layer.
        (given.mul_(3) ** 2).sum().backward()
        (call,) = recording.calls
        assert torch.equal(call.leaf.detach(), before)
        assert call.leaf.is_leaf
        assert call.leaf.grad is not None
        assert torch.allclose(call.leaf.grad, 18 * before)

    @pytest.mark.parametrize("embeds", [True, False])
    @pytest.mark.parametrize(
        ("output", "what"),
        [
            (torch.ones(2, 4, DIM).long(), "returned a torch.int64, not a vector"),
            ([1.0], "returned a list, not a vector"),
            (torch.ones(2, DIM), r"returned shape \(2, 3\) for 2 instances"),
            (torch.ones(3, 4, DIM), r"returned shape \(3, 4, 3\) for 2 instances"),
        ],
    )
    def test_what_is_no_vector_per_position(self, output: Any, what: str, embeds: bool) -> None:
        recording = Recording({"text": field(FIRST)}, 2)
        way = "override get_interpretable_layer" if embeds else "name a layer whose output"
        with pytest.raises(InterpretationError, match=f"{what}.*; {way}"):
            recording.note(layer_of(embeds), (FIRST,), output)
        assert not recording.calls

    def test_rows_of_list_items(self) -> None:
        recording = Recording({"text": field(FIRST.view(2, 2, 2))}, 2)
        recording.note(layer_of(), (FIRST.view(4, 2),), vectors(4, 2))
        (call,) = recording.calls
        assert torch.equal(call.part(2), call.leaf.view(2, 4, DIM))


class TestPart:
    """The output as rows of positions."""

    def test_rows_first(self) -> None:
        leaf = vectors(2, 4)
        found = RecordedCall(layer_of(), ("text",), leaf, False, None).part(2)
        assert torch.equal(found, leaf)

    def test_positions_first(self) -> None:
        leaf = vectors(4, 2)
        found = RecordedCall(layer_of(), ("text",), leaf, True, None).part(2)
        assert torch.equal(found, leaf.transpose(0, 1))


class TestWhoseTensors:
    def test_the_same_tensor(self) -> None:
        collated, recording = two_fields()
        recording.note(layer_of(), (SECOND,), vectors(2, 2))
        recording.note(layer_of(), (FIRST,), vectors(2, 4))
        assert [call.names for call in recording.calls] == [("second",), ("first",)]
        assert recording.calls[0].origin is collated["second"]
        assert recording.calls[1].origin is collated["first"]

    def test_a_view_of_it(self) -> None:
        _, recording = two_fields()
        recording.note(layer_of(), (SECOND.view(2, 2, 1),), vectors(2, 2))
        assert recording.calls[0].names == ("second",)

    def test_what_the_embedder_was_given(self) -> None:
        """A layer inside it may be given tensors that it made."""
        collated, recording = two_fields()
        recording.embedder(collated["second"])
        recording.note(layer_of(), (SECOND.clone(),), vectors(2, 2))
        recording.embedder(collated["first"])
        recording.note(layer_of(), (FIRST.clone(),), vectors(2, 4))
        assert [call.names for call in recording.calls] == [("second",), ("first",)]

    def test_of_several_texts_none(self) -> None:
        _, recording = two_fields()
        told = r"none of the tensors of the text fields \['first', 'second'\]"
        with pytest.raises(InterpretationError, match=told):
            recording.note(layer_of(), (FIRST.clone(),), vectors(2, 4))

    def test_empty_tensors_are_nobodys(self) -> None:
        """All of them stand at the same place in memory: none."""
        empty = torch.empty(2, 0, dtype=torch.long)
        collated = {"first": field(empty), "second": field(FIRST)}
        recording = Recording(collated, 2)
        recording.note(layer_of(), (torch.empty(2, 0), FIRST), vectors(2, 4))
        assert recording.calls[0].names == ("second",)

    def test_the_only_text_needs_no_tensor(self) -> None:
        recording = Recording({"text": field(FIRST), "label": torch.tensor([0, 1])}, 2)
        recording.note(layer_of(), (FIRST.clone(),), vectors(2, 4))
        assert recording.calls[0].names == ("text",)


class TestOrder:
    """Indices may go in as `(positions, rows)`; tokens in another order would have wrong scores."""

    @pytest.mark.parametrize(
        ("ids", "transposed"),
        [
            (FIRST.clone(), False),
            (FIRST.T.contiguous(), True),
            # Folded into segments of two positions.
            (FIRST.view(4, 2).clone(), False),
            (FIRST.view(4, 2).T.contiguous(), True),
            # Other words in the places of some.
            (FIRST.clamp_max(7), False),
        ],
    )
    def test_which_dimension_is_the_batch(self, ids: Tensor, transposed: bool) -> None:
        recording = Recording({"text": field(FIRST)}, 2)
        recording.note(layer_of(), (ids,), vectors(*ids.shape))
        (call,) = recording.calls
        assert call.transposed is transposed
        assert torch.equal(call.part(2), vectors_of_rows(call.leaf, transposed))

    def test_as_many_rows_as_positions(self) -> None:
        """What is the field's as it stands is never turned."""
        square = torch.tensor([[5, 6], [6, 8]])
        recording = Recording({"text": field(square)}, 2)
        recording.note(layer_of(), (square.clone(),), vectors(2, 2))
        assert recording.calls[0].transposed is False

    @pytest.mark.parametrize("ids", [FIRST.flip(1), FIRST.flip(0)])
    def test_another_order_is_refused(self, ids: Tensor) -> None:
        recording = Recording({"text": field(FIRST)}, 2)
        with pytest.raises(InterpretationError, match="in another order than the field has them"):
            recording.note(layer_of(), (ids,), vectors(2, 4))

    def test_vectors_have_no_order_of_their_own(self) -> None:
        recording = Recording({"text": field(FIRST)}, 2)
        recording.note(layer_of(embeds=False), (vectors(2, 4),), vectors(2, 4))
        assert recording.calls[0].transposed is False


def vectors_of_rows(leaf: Tensor, transposed: bool) -> Tensor:
    return torch.stack(leaf.unbind(1) if transposed else leaf.unbind(0)).reshape(2, -1, DIM)


class TestInnerLayers:
    """A layer behind the embedder sees vectors: its calls follow those of the embedder."""

    def test_as_many_calls_as_texts(self) -> None:
        collated, recording = two_fields()
        for name in ("second", "first"):
            recording.embedder(collated[name])
        recording.note(layer_of(embeds=False), (vectors(2, 2),), vectors(2, 2))
        recording.note(layer_of(embeds=False), (vectors(2, 4),), vectors(2, 4))
        calls = recording.finish(MODEL, named=True)
        assert [call.names for call in calls] == [("second",), ("first",)]
        assert [call.origin for call in calls] == [collated["second"], collated["first"]]

    def test_ids_that_no_embedder_of_texts_was_given(self) -> None:
        recording = Recording({"text": field(FIRST)}, 2)
        recording.embedder(FIRST)
        recording.note(layer_of(embeds=False), (vectors(2, 4),), vectors(2, 4))
        (call,) = recording.finish(MODEL, named=True)
        assert (call.names, call.origin) == (("text",), None)

    def test_layers_that_embed_keep_what_they_said(self) -> None:
        collated, recording = two_fields()
        recording.embedder(collated["first"])
        recording.note(layer_of(), (FIRST,), vectors(2, 4))
        calls = recording.finish(MODEL, named=False)
        assert calls == recording.calls

    @pytest.mark.parametrize(
        ("shape", "transposed", "refused"),
        [
            ((2, 6), False, True),
            ((6, 2), True, True),
            ((4, 4), False, True),
            ((2, 2), False, False),
            ((2, 2), True, False),
        ],
    )
    def test_fields_that_became_one_sequence(
        self, shape: tuple[int, int], transposed: bool, refused: bool
    ) -> None:
        collated, recording = two_fields()
        for name in ("first", "second"):
            recording.embedder(collated[name])
        leaf, positions = vectors(*shape), shape[0 if transposed else 1]
        layer = layer_of(embeds=False)
        recording.calls.append(RecordedCall(layer, ("second",), leaf, transposed, None))
        if not refused:
            finished = recording.finish(MODEL, named=True)
            assert finished == recording.calls
            return
        told = (
            rf"Linear sees the text fields 'first', 'second' as one sequence of {positions} "
            "positions, .*; name a layer that sees one field at a time"
        )
        with pytest.raises(InterpretationError, match=told):
            recording.finish(MODEL, named=True)

    def test_one_field_is_never_apart(self) -> None:
        collated, recording = two_fields()
        for _ in range(2):
            recording.embedder(collated["second"])
        call = RecordedCall(layer_of(embeds=False), ("second",), vectors(4, 4), False, None)
        recording.calls.append(call)
        assert recording.finish(MODEL, named=True) == [call]


class TestRecord:
    """The first run of a model."""

    @pytest.mark.parametrize(
        ("named", "told"),
        [
            (False, r"FunctionModel called none of the layers to interpret \(Linear, Bilinear\)"),
            (True, r"FunctionModel does not run the layer \(Linear, Bilinear\)"),
        ],
    )
    def test_layers_that_never_run(self, named: bool, told: str) -> None:
        twin, collated = self.opened()
        unused = nn.Linear(1, 1), nn.Bilinear(1, 1, 1)
        layers = EmbeddingLayers((), tuple(map(EmbeddingLayer, unused)))
        with pytest.raises(InterpretationError, match=told):
            record(twin, collated, 1, layers, named)

    def test_the_graph_leads_to_the_leaf(self) -> None:
        twin, collated = self.opened()
        layers = find_embedding_layers(twin)
        with torch.no_grad():
            outputs, (call,) = record(twin, collated, 1, layers)
        (gradient,) = torch.autograd.grad(outputs["logits"].sum(), call.leaf)
        # Σ x² of the vectors.
        assert torch.equal(gradient, 2 * call.leaf)
        assert call.names == ("tokens",)
        # Nothing is recorded after the run.
        twin.model(**collated)
        assert call.leaf.shape == (1, 2, DIM)

    def opened(self) -> tuple[Twin, dict[str, Any]]:
        words = spread_vectors(("up", "down"), DIM)
        twin = Twin(predictor_of(lambda x: (x**2).sum(-1), words))
        instance = twin.predictor._json_to_instance({"sentence": "up down"})
        twin.predictor._dataset_reader.apply_token_indexers(instance)
        return twin, collate([instance], twin.model.vocab, twin.device)
