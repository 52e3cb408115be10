"""Positions of a layer's output and the tokens that they are part of, written down by hand."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.batch import Batch
from allennlp.data.fields import LabelField, ListField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import Token
from allennlp.modules.token_embedders import PretrainedTransformerEmbedder
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.inputs.collation import TracedCall
from allennlp_saliency.interpret.model.embedding_layers import EmbeddingLayer
from allennlp_saliency.interpret.positions import HELD, PADDING, UNASSIGNED
from allennlp_saliency.interpret.space.alignment import added_ids, align, is_added
from allennlp_saliency.interpret.space.recording import RecordedCall

DIM = 4
U, P = UNASSIGNED, PADDING


def text(words: str, **indexers: Any) -> TextField:
    return TextField([Token(word) for word in words.split()], indexers or {"tokens": words_only()})


def words_only(**options: Any) -> SingleIdTokenIndexer:
    return SingleIdTokenIndexer(**options)


def call_of(origin: Any, *shape: int, names: tuple[str, ...] = ("passage",), **layer: Any) -> Any:
    """A call that returned so many vectors."""
    settings = {"indexer": "tokens", **layer}
    transposed = settings.pop("transposed", False)
    own = EmbeddingLayer(nn.Embedding(9, DIM), **settings)
    return RecordedCall(own, names, torch.zeros(*shape, DIM), transposed, origin)


def collated(instances: Sequence[Instance]) -> dict[str, Any]:
    batch = Batch(instances)
    batch.index_instances(Vocabulary())
    return dict(batch.as_tensor_dict())


def aligned(fields: Sequence[Any], *shape: int, **layer: Any) -> tuple[Any, Any, Any]:
    """The call traced back, and its tokens and special positions as lists."""
    instances = [Instance({"passage": field}) for field in fields]
    origin: Any = collated(instances)["passage"]
    found = align(call_of(origin, *shape, **layer), instances)
    return found, found.tokens.tolist(), found.special.tolist()


class TestWords:
    def test_a_position_per_word(self) -> None:
        found, tokens, special = aligned([text("a film"), text("the plot was")], 2, 3)
        assert tokens == [[0, 1, P], [0, 1, 2]]
        assert not any(map(any, special))
        assert not found.fields.any()
        assert (found.names, found.shape) == (("passage",), (2, 3, DIM))
        assert (found.positions, found.dim, found.size) == (3, DIM, 3 * DIM)
        assert (found.dtype, found.device.type) == (torch.float32, "cpu")

    def test_positions_before_rows(self) -> None:
        found, tokens, _ = aligned([text("a film"), text("the plot was")], 3, 2, transposed=True)
        assert tokens == [[0, 1, P], [0, 1, 2]]
        assert found.transposed
        assert (found.shape, found.positions) == ((3, 2, DIM), 3)

    def test_tokens_of_the_indexer_belong_to_no_word(self) -> None:
        own = words_only(start_tokens=["@a@", "@b@"], end_tokens=["@end@"])
        fields = [text("a film", tokens=own), text("plot", tokens=own)]
        found, tokens, special = aligned(fields, 2, 5)
        assert tokens == [[U, U, 0, 1, U], [U, U, 0, U, P]]
        assert special == [[True, True, False, False, True], [True, True, False, True, False]]
        assert found.indexer is own

    def test_which_indexer(self) -> None:
        """That which the layer embeds; the first where nobody says."""
        own, other = words_only(), words_only(start_tokens=["@a@"], namespace="others")
        for name, expected in (("tokens", own), ("others", other), (None, own)):
            fields = [text("a film", tokens=own, others=other)]
            width = 3 if name == "others" else 2
            found, tokens, _ = aligned(fields, 1, width, indexer=name)
            assert found.indexer is expected
            assert tokens == ([[U, 0, 1]] if name == "others" else [[0, 1]])

    def test_beyond_the_text_field_embedder_there_are_words(self) -> None:
        """A layer inside the model has a position for each token, whatever was embedded."""
        instances = [Instance({"passage": text(words)}) for words in ("a film", "the plot was")]
        offsets = torch.tensor([[[1, 1], [2, 3], [0, 0]]] * 2)
        origin = {"tokens": {"offsets": offsets, "wordpiece_mask": torch.ones(2, 5).bool()}}
        found = align(call_of(origin, 2, 3, indexer=None, embeds=False), instances)
        assert found.tokens.tolist() == [[0, 1, P], [0, 1, 2]]

    def test_texts_without_tensors(self) -> None:
        instances = [Instance({"passage": text(words)}) for words in ("a film", "the plot was")]
        found = align(call_of(None, 2, 3), instances)
        assert found.tokens.tolist() == [[0, 1, P], [0, 1, 2]]


class TestListsOfTexts:
    def test_tokens_are_counted_through_the_list(self) -> None:
        fields = [ListField([text("a film"), text("plot")]), ListField([text("the plot was")])]
        found, tokens, _ = aligned(fields, 4, 3)
        assert tokens == [[0, 1, P, 2, P, P], [0, 1, 2, P, P, P]]
        assert (found.positions, found.dim) == (6, DIM)

    def test_lists_of_lists(self) -> None:
        first = ListField([ListField([text("a"), text("film")]), ListField([text("the plot")])])
        second = ListField([ListField([text("was bad")])])
        _, tokens, _ = aligned([first, second], 8, 2)
        # Two lists of two items of two positions each.
        assert tokens == [[0, P, 1, P, 2, 3, P, P], [0, 1, P, P, P, P, P, P]]

    def test_a_layer_that_sees_no_items_is_refused(self) -> None:
        fields = [ListField([text("a film"), text("plot")])]
        with pytest.raises(
            InterpretationError, match="3 positions per instance for 2 list items; override"
        ):
            aligned(fields, 1, 3)


def pieces(*rows: tuple[list[list[int]], int]) -> dict[str, Any]:
    """What a mismatched indexer makes of texts: each word's pieces, and how many there are."""
    words = max(len(spans) for spans, _ in rows)
    width = max(count for _, count in rows)
    offsets = torch.zeros(len(rows), words, 2, dtype=torch.long)
    mask = torch.zeros(len(rows), words, dtype=torch.bool)
    wordpiece_mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, (spans, count) in enumerate(rows):
        offsets[row, : len(spans)] = torch.tensor(spans)
        mask[row, : len(spans)] = True
        wordpiece_mask[row, :count] = True
    return {
        "tokens": {
            "token_ids": wordpiece_mask.long(),
            "mask": mask,
            "offsets": offsets,
            "wordpiece_mask": wordpiece_mask,
        }
    }


class TestWordpieces:
    TWO = (([[1, 1], [2, 4]], 6), ([[1, 2], [-1, -1], [3, 3]], 5))

    def instances(self) -> list[Instance]:
        return [Instance({"passage": text(words)}) for words in ("a filmgoer", "badly x acted")]

    @pytest.mark.parametrize("name", ["tokens", None])
    def test_a_words_pieces_are_the_words(self, name: str | None) -> None:
        found = align(call_of(pieces(*self.TWO), 2, 6, indexer=name), self.instances())
        # The second text's second word has no piece.
        assert found.tokens.tolist() == [[U, 0, 1, 1, 1, U], [U, 0, 0, 2, U, P]]
        inner = [False, False, False]
        assert found.special.tolist() == [
            [True, False, *inner, True],
            [True, *inner, True, False],
        ]

    def test_a_position_per_word_behind_the_embedder(self) -> None:
        """The top of a mismatched embedder has words, whose offsets point at pieces."""
        found = align(call_of(pieces(*self.TWO), 2, 3), self.instances())
        assert found.tokens.tolist() == [[0, 1, P], [0, 1, 2]]
        assert not found.special.any()

    def test_a_layer_that_has_neither_is_refused(self) -> None:
        with pytest.raises(InterpretationError, match="4 positions for a text of 3 or 6"):
            align(call_of(pieces(*self.TWO), 2, 4), self.instances())

    def test_a_list_of_texts(self) -> None:
        own = pieces(*self.TWO)["tokens"]
        origin = {"tokens": {name: value.unsqueeze(0) for name, value in own.items()}}
        items = ListField([one["passage"] for one in self.instances()])
        found = align(call_of(origin, 2, 6), [Instance({"passage": items})])
        assert found.tokens.tolist() == [[U, 0, 1, 1, 1, U, U, 2, 2, 4, U, P]]


class Tokenizer:
    """Whose special tokens are [CLS] and [SEP]; it has a token that it does not add, too."""

    cls_token_id, sep_token_id, bos_token_id, eos_token_id = 2, 3, None, None
    pad_token_id, mask_token_id = 0, 4


def with_specials(words: str) -> TextField:
    """The words between [CLS] and [SEP], which the tokenizer added."""
    indexer: Any = words_only()
    indexer._tokenizer = Tokenizer()
    own = [Token(word, idx=2 * place, text_id=9) for place, word in enumerate(words.split())]
    first, last = Token("[CLS]", text_id=2), Token("[SEP]", text_id=3)
    return TextField([first, *own, last], {"tokens": indexer})


class TestAddedTokens:
    def test_they_are_tokens_but_special(self) -> None:
        _, tokens, special = aligned([with_specials("a film"), with_specials("plot")], 2, 4)
        assert tokens == [[0, 1, 2, 3], [0, 1, 2, P]]
        assert special == [[True, False, False, True], [True, False, True, False]]

    @pytest.mark.parametrize("kind", ["cls", "sep", "bos", "eos", "pad"])
    def test_of_every_kind(self, kind: str) -> None:
        indexer: Any = SimpleNamespace(_tokenizer=SimpleNamespace(**{f"{kind}_token_id": 7}))
        assert added_ids(indexer) == {7}

    def test_a_mask_is_none_of_them(self) -> None:
        indexer: Any = SimpleNamespace(_tokenizer=Tokenizer())
        assert added_ids(indexer) == {0, 2, 3}
        assert added_ids(words_only()) == added_ids(None) == frozenset()

    def test_what_the_user_typed_is_text(self) -> None:
        added = frozenset({3})
        assert is_added(Token("[SEP]", text_id=3), added)
        assert not is_added(Token("[SEP]", text_id=3, idx=0), added)
        assert not is_added(Token("film", text_id=9), added)
        assert not is_added(Token("film"), added)


class TestFoldedTexts:
    """Segments of four pieces, each between special tokens of its own."""

    def embedder(self) -> Any:
        made: Any = PretrainedTransformerEmbedder.__new__(PretrainedTransformerEmbedder)
        nn.Module.__init__(made)
        made._max_length, made._num_added_tokens = 4, 2
        made._num_added_start_tokens = made._num_added_end_tokens = 1
        return made

    def tensors(self, counts: Sequence[int], width: int, **others: Any) -> dict[str, Any]:
        mask = torch.arange(width) < torch.tensor(counts).unsqueeze(1)
        return {"tokens": {"token_ids": mask.long(), "segment_concat_mask": mask, **others}}

    def test_a_position_per_piece(self) -> None:
        fields = [with_specials("a b c d"), with_specials("a")]
        instances = [Instance({"passage": field}) for field in fields]
        origin = self.tensors((8, 3), 8)
        found = align(call_of(origin, 4, 4, transformer=self.embedder()), instances)
        # [CLS] a b [SEP] | [CLS] c d [SEP]: the inner special tokens are no tokens of the text.
        assert found.tokens.tolist() == [[0, 1, 2, U, U, 3, 4, 5], [0, 1, 2, *[P] * 5]]
        outer, inner, of_none = [True], [False, False], [False] * 5
        assert found.special.tolist() == [
            [*outer, *inner, True, True, *inner, *outer],
            [*outer, False, *outer, *of_none],
        ]
        assert found.positions == 8

    def test_words_of_several_pieces(self) -> None:
        instances = [Instance({"passage": text("a filmgoer acted")})]
        offsets = torch.tensor([[[1, 1], [2, 3], [4, 4]]])
        origin = self.tensors((8,), 8, offsets=offsets)
        found = align(call_of(origin, 2, 4, transformer=self.embedder()), instances)
        assert found.tokens.tolist() == [[U, 0, 1, U, U, 1, 2, U]]

    def test_one_segment_needs_no_folding(self) -> None:
        instances = [Instance({"passage": with_specials("a")})]
        call = call_of(self.tensors((3,), 3), 1, 3, transformer=self.embedder())
        assert align(call, instances).tokens.tolist() == [[0, 1, 2]]


class TestJoinedTexts:
    """A model that joins two texts says whose each position is."""

    def found(self, tokens: Tensor, fields: Tensor, *shape: int) -> Any:
        instances = [
            Instance({"first": text(first), "second": text(second)})
            for first, second in (("a film", "plot"), ("the plot was", "bad"))
        ]
        origin = TracedCall(("first", "second"), fields, tokens, transposed=False, text=0)
        return align(call_of(origin, *shape, names=("first", "second")), instances)

    def test_positions_are_as_traced(self) -> None:
        tokens = torch.tensor([[U, 0, 1, U, 0, P], [U, 0, 1, 2, HELD, U]])
        fields = torch.tensor([[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 1, 0]])
        found = self.found(tokens, fields, 2, 6)
        assert torch.equal(found.tokens, tokens)
        assert torch.equal(found.fields, fields)
        assert torch.equal(found.special, tokens == U)
        assert found.tokens_of("second").tolist() == [[P, P, P, P, 0, P], [P, P, P, P, HELD, P]]

    def test_added_tokens_are_special(self) -> None:
        instances = [Instance({"first": with_specials("a film"), "second": text("plot")})]
        tokens = torch.tensor([[0, 1, 2, 3, 0, U, P]])
        fields = torch.tensor([[0, 0, 0, 0, 1, 0, 0]])
        origin = TracedCall(("first", "second"), fields, tokens, transposed=False, text=0)
        found = align(call_of(origin, 1, 7, names=("first", "second")), instances)
        assert found.special.tolist() == [[True, False, False, True, False, True, False]]

    def test_several_sequences_of_an_instance(self) -> None:
        """Two rows of the layer for each instance lie side by side."""
        tokens = torch.tensor([[0, 1], [0, P], [0, 1], [2, 0]])
        fields = torch.tensor([[0, 0], [1, 0], [0, 0], [0, 1]])
        found = self.found(tokens, fields, 4, 2)
        assert found.tokens.tolist() == [[0, 1, 0, P], [0, 1, 2, 0]]
        assert found.fields.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]
        assert found.positions == 4


class TestRefused:
    def test_a_field_without_tokens(self) -> None:
        instances = [Instance({"passage": LabelField("yes")})]
        with pytest.raises(InterpretationError, match=r"'passage' is a LabelField.*no tokens"):
            align(call_of(None, 1, 3), instances)

    @pytest.mark.parametrize("listed", [False, True])
    def test_more_tokens_than_positions(self, listed: bool) -> None:
        own: Any = text("a film and its plot")
        field = ListField([own]) if listed else own
        name = r"passage\[0\]" if listed else "passage"
        told = rf"'{name}' has 5 tokens, but its embedding layer returned 3 positions, 3 per"
        with pytest.raises(InterpretationError, match=told):
            align(call_of(None, 1, 3), [Instance({"passage": field})])

    def test_a_layer_of_another_width(self) -> None:
        with pytest.raises(InterpretationError, match="returned 4 positions for a text of 2;"):
            aligned([text("a film")], 1, 4)
