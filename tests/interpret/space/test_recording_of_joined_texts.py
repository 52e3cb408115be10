"""What a recording says of calls where the model joins its texts to sequences of ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import JoinedTexts
from allennlp_saliency.interpret.positions import HELD, PADDING, UNASSIGNED
from allennlp_saliency.interpret.space.recording import RecordedCall, Recording
from tests.interpret.space.test_recording import (
    DIM,
    FIRST,
    MODEL,
    SECOND,
    field,
    layer_of,
    vectors,
)

PAD = 0


def joined(name: str, ids: Tensor, tokens: Tensor | None = None) -> JoinedTexts:
    numbers = torch.arange(ids.shape[1]).expand(ids.shape) if tokens is None else tokens
    return JoinedTexts((name,), ids, ids != PAD, torch.zeros_like(ids), numbers, PAD)


def recorded(*texts: JoinedTexts) -> Recording:
    collated: Mapping[str, Any] = {name: field(one.ids) for one in texts for name in one.names}
    return Recording(collated, 2, texts)


def finish(recording: Recording, named: bool = False) -> Sequence[RecordedCall]:
    return recording.finish(MODEL, named)


class TestSequences:
    def test_each_call_has_the_sequence_that_went_in(self) -> None:
        recording = recorded(joined("first", FIRST), joined("second", SECOND))
        for ids in (SECOND, FIRST):
            recording.embedder(ids)
            recording.note(layer_of(), (ids,), vectors(*ids.shape))
        second, first = finish(recording)
        origins: list[Any] = [second.origin, first.origin]
        assert [call.names for call in (second, first)] == [("second",), ("first",)]
        assert origins[0].tokens.tolist() == [[0, 1], [0, PADDING]]
        assert origins[1].tokens.tolist() == [[0, 1, 2, PADDING], [0, 1, PADDING, PADDING]]

    @pytest.mark.parametrize("turned_ids", [False, True])
    @pytest.mark.parametrize("turned", [False, True])
    def test_states_may_lie_otherwise_than_ids(self, turned_ids: bool, turned: bool) -> None:
        recording = recorded(joined("first", FIRST))
        recording.embedder(FIRST.T if turned_ids else FIRST)
        recording.note(layer_of(), (FIRST,), vectors(4, 2) if turned else vectors(2, 4))
        (call,) = finish(recording)
        assert call.transposed is turned
        assert call.part(2).shape == (2, 4, DIM)

    @pytest.mark.parametrize("turned", [False, True])
    def test_as_many_rows_as_positions(self, turned: bool) -> None:
        """States lie as the ids did."""
        recording = recorded(joined("second", SECOND))
        recording.embedder(SECOND.T if turned else SECOND)
        recording.note(layer_of(), (SECOND,), vectors(2, 2))
        (call,) = finish(recording)
        assert call.transposed is turned

    def test_streams_of_a_position_are_one_vector(self) -> None:
        recording = recorded(joined("second", SECOND))
        recording.embedder(SECOND)
        leaf = vectors(2, 2, 5)
        recording.note(layer_of(), (SECOND,), leaf)
        (call,) = finish(recording)
        assert torch.equal(call.part(2), leaf.view(2, 2, 5 * DIM))

    def test_padding_behind_a_text_is_part_of_it_for_inner_layers(self) -> None:
        recording = recorded(joined("first", FIRST))
        recording.embedder(FIRST)
        padding = torch.full((2, 2), PAD)
        recording.embedder(padding)
        recording.note(layer_of(), (padding,), vectors(2, 2))
        recording.note(layer_of(embeds=False), (vectors(2, 6),), vectors(2, 6))
        of_padding, inner = (call.origin for call in recording.calls)
        behind = [PADDING, PADDING]
        tokens: list[Any] = [one.tokens.tolist() for one in (of_padding, inner)]
        assert tokens[0] == [behind, behind]
        assert tokens[1] == [[0, 1, 2, PADDING, *behind], [0, 1, PADDING, PADDING, *behind]]

    @pytest.mark.parametrize("embeds", [True, False])
    def test_tokens_are_held_at_the_embeddings_alone(self, embeds: bool) -> None:
        """What a block returns at a held token depends on the input."""
        tokens = torch.tensor([[0, HELD, HELD, 0], [0, 1, 0, 0]])
        recording = recorded(joined("first", FIRST, tokens))
        recording.embedder(FIRST)
        recording.note(layer_of(embeds), (FIRST,), vectors(2, 4))
        origin: Any = recording.calls[0].origin
        held = HELD if embeds else UNASSIGNED
        assert origin.tokens.tolist() == [[0, held, held, PADDING], [0, 1, PADDING, PADDING]]

    def test_ids_of_no_text(self) -> None:
        recording = recorded(joined("first", FIRST))
        told = r"indices of shape \(2, 4\) that are not those of its texts \(\(2, 4\)\).*'output'"
        with pytest.raises(InterpretationError, match=told):
            recording.embedder(FIRST.flip(0))
        with pytest.raises(InterpretationError, match="indices of shape NoneType"):
            recording.embedder(None)

    def test_a_layer_before_any_text(self) -> None:
        recording = recorded(joined("first", FIRST))
        with pytest.raises(InterpretationError, match="runs before the texts are embedded; name"):
            recording.note(layer_of(embeds=False), (FIRST,), vectors(2, 4))

    def test_another_shape(self) -> None:
        recording = recorded(joined("first", FIRST))
        recording.embedder(FIRST)
        told = r"returned shape \(2, 3, 3\) for 2 sequences of 4 positions; override"
        with pytest.raises(InterpretationError, match=told):
            recording.note(layer_of(), (FIRST,), vectors(2, 3))

    def test_a_text_that_no_layer_embeds(self) -> None:
        recording = recorded(joined("first", FIRST), joined("second", SECOND))
        recording.embedder(FIRST)
        recording.note(layer_of(), (FIRST,), vectors(2, 4))
        with pytest.raises(InterpretationError, match=r"embeds 'second' by a layer.*'output'"):
            finish(recording)
        # A layer that the user names may read one of the texts alone.
        assert finish(recording, named=True) == recording.calls
