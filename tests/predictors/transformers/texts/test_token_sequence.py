"""Text fields joined to the ids that a model reads, each position with its field and token."""

from __future__ import annotations

from typing import Any

import torch

from allennlp_saliency.interpret.positions import UNASSIGNED
from allennlp_saliency.predictors.transformers.texts.token_sequence import (
    joined,
    of_ids,
    without_items,
)

PAD = 9


def field(*rows: list[int], types: int | None = None) -> Any:
    """A text field's tensors, padded with zeros."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    own = {} if types is None else {"type_ids": torch.full_like(ids, types)}
    return {"tokens": {"token_ids": ids, "mask": mask, "in_text": mask, **own}}


def test_two_texts_without_padding_in_between() -> None:
    sequence = joined({"a": field([5], [5, 6], types=0), "b": field([7, 8], [7], types=1)}, PAD)
    assert sequence.ids.tolist() == [[5, 7, 8], [5, 6, 7]]
    assert sequence.fields.tolist() == [[0, 1, 1], [0, 0, 1]]
    assert sequence.tokens.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert sequence.types is not None
    assert sequence.types.tolist() == [[0, 1, 1], [0, 0, 1]]
    assert not sequence.padded


def test_padding_goes_behind_or_before() -> None:
    texts = {"a": field([5], [5, 6, 7])}
    right, left = joined(texts, PAD), joined(texts, PAD, left=True)
    assert right.ids.tolist() == [[5, PAD, PAD], [5, 6, 7]]
    assert left.ids.tolist() == [[PAD, PAD, 5], [5, 6, 7]]
    assert right.attention_mask.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert left.attention_mask.tolist() == [[0, 0, 1], [1, 1, 1]]
    assert left.tokens[0, 2] == 0
    assert right.lengths.tolist() == left.lengths.tolist() == [1, 3]


def test_a_row_alone_has_no_padding() -> None:
    sequence = joined({"a": field([5], [5, 6, 7])}, PAD)
    for number, ids in enumerate(([5], [5, 6, 7])):
        row = sequence.row(number)
        assert row.ids.tolist() == [ids]
        assert not row.padded


def test_the_order_of_reading_is_not_that_of_explanations() -> None:
    sequence = joined({"a": field([5]), "b": field([7])}, PAD, order=("b", "a"))
    assert sequence.names == ("b", "a")
    assert sequence.ids.tolist() == [[5, 7]]
    assert sequence.fields.tolist() == [[1, 0]]


def test_each_item_with_the_text_before_it() -> None:
    """A prompt and two choices; tokens are counted through the choices."""
    choices = field([7, 8], [6])
    items = {"tokens": {key: value.unsqueeze(0) for key, value in choices["tokens"].items()}}
    sequence = joined({"prompt": field([5]), "choices": items}, PAD, ("choices", "prompt"))
    assert sequence.ids.tolist() == [[5, 7, 8], [5, 6, PAD]]
    assert sequence.fields.tolist()[0] == [1, 0, 0]
    assert sequence.tokens[0].tolist() == [0, 0, 1]
    assert sequence.tokens[1, :2].tolist() == [0, 2]


def test_items_that_only_another_row_has_are_nobodys() -> None:
    sequence = joined({"a": field([5], [6])}, PAD)
    own = without_items(sequence, torch.tensor([[True, False]]))
    assert own.mask.tolist() == [[True], [False]]
    # The model reads them all the same.
    assert own.attention_mask.tolist() == [[1], [1]]


def test_tokens_of_no_field_behind_a_text() -> None:
    sequence = joined({"a": field([5, 6])}, PAD).followed_by(torch.tensor([[4]]))
    assert sequence.ids.tolist() == [[5, 6, 4]]
    assert sequence.tokens.tolist() == [[0, 1, UNASSIGNED]]
    assert of_ids(torch.tensor([[4]])).fields.tolist() == [[-1]]
