"""Labelled instances as the tensors that a model takes, copies of their rows, and where
tokens stand in texts that a model joins: a call of an embedding layer is traced back by its ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from allennlp.data import Instance, Vocabulary
from allennlp.data.batch import Batch
from allennlp.nn.util import move_to_device
from torch import Tensor

from ..contracts import JoinedTexts
from ..errors import InterpretationError
from ..positions import PADDING, UNASSIGNED


def collate(
    instances: Sequence[Instance], vocab: Vocabulary, device: torch.device
) -> dict[str, Any]:
    """Indexes the instances and pads them to one batch.

    Args:
        instances: Instances whose token indexers are applied.
        vocab: The model's vocabulary.
        device: Where the model is.

    Returns:
        Field name to tensors whose first dimension is `len(instances)`, or to lists that long.

    Raises:
        InterpretationError: If the instances do not fit one batch.
    """
    batch = Batch(instances)
    batch.index_instances(vocab)
    try:
        return move_to_device(batch.as_tensor_dict(), device)
    except ValueError as error:
        raise InterpretationError(f"the instances cannot share a batch: {error}") from error


def select_rows(collated: Any, rows: Tensor, count: int) -> Any:
    """Copies of some instances, as a batch.

    Args:
        collated: The result of `collate` for `count` instances.
        rows: The instance that each row of the new batch copies, `(rows,)`.
        count: How many instances there are. Values of another length (a flag for the
            whole batch) are kept.
    """
    if isinstance(collated, Tensor):
        if collated.dim() and collated.shape[0] == count:
            return collated.index_select(0, rows.to(collated.device))
        return collated
    if isinstance(collated, dict):
        return {key: select_rows(value, rows, count) for key, value in collated.items()}
    if isinstance(collated, (list, tuple)) and len(collated) == count:
        return [collated[row] for row in rows.tolist()]
    return collated


# A decoder that repeats its text reads it one position later.
_SHIFTS = (0, 1)


@dataclass(frozen=True)
class TracedCall:
    """The positions of one call of a layer, traced back to text fields.

    Attributes:
        names: The text fields.
        fields: The field of each position, a place in `names`, `(rows, positions)`.
        tokens: The number of its token there, `UNASSIGNED`, `PADDING` or `HELD`,
            `(rows, positions)`.
        transposed: Whether the call counts the positions first, `(positions, rows)`.
        text: The sequence that was traced, by its number; -1 for padding of no sequence.
    """

    names: tuple[str, ...]
    fields: Tensor
    tokens: Tensor
    transposed: bool
    text: int

    def followed_by(self, padding: TracedCall) -> TracedCall:
        """The same sequence with padding behind it.

        Args:
            padding: A call that embedded nothing but padding, of as many rows.
        """
        return replace(
            self,
            fields=torch.cat([self.fields, padding.fields], dim=1),
            tokens=torch.cat([self.tokens, padding.tokens], dim=1),
        )

    def with_rows(self, rows: Tensor) -> TracedCall:
        """The same for copies of some rows."""
        return replace(self, fields=self.fields[rows], tokens=self.tokens[rows])


def trace(ids: Tensor, texts: Sequence[JoinedTexts], seen: Sequence[int]) -> TracedCall | None:
    """Finds the sequence that an embedding layer was given.

    Args:
        ids: What the layer was given, `(rows, positions)` or `(positions, rows)`; longer than the
            sequence where the model pads it further, reads it again or adds tokens of its own
            behind it; one later where a decoder repeats it.
        texts: The sequences that the model reads.
        seen: The numbers of the sequences that earlier calls were given; of two that fit equally
            well the other is taken.

    Returns:
        None if no sequence fits.
    """
    order = sorted(range(len(texts)), key=lambda number: number in seen)
    for shift in _SHIFTS:
        for transposed in (False, True):
            given = ids.T if transposed else ids
            for number in order:
                if _fits(given, texts[number], shift):
                    return _traced(given, texts[number], shift, transposed, number)
        text = texts[0]
        alike = ids.dim() == 2 and len(ids) == len(text.ids)
        if alike and text.padding is not None and bool((ids == text.padding).all()):
            # Nothing but padding: what LED fills up its windows with.
            tokens = torch.full(tuple(ids.shape), PADDING)
            fields = torch.zeros_like(tokens)
            return TracedCall(text.names, fields, tokens, transposed=False, text=-1)
    return None


def _fits(given: Tensor, text: JoinedTexts, shift: int) -> bool:
    """Whether the ids are those of the sequence, so many positions later."""
    if given.dim() != 2 or given.shape[0] != text.ids.shape[0]:
        return False
    common = min(given.shape[1] - shift, text.ids.shape[1])
    mask = text.mask
    # What is shifted may lose as many tokens at its end.
    if common < 1:
        return common == 0 and text.ids.shape[1] <= shift
    if bool(mask[:, common + shift :].any()):
        return False
    placed = given[:, shift : shift + common]
    same = placed == text.ids[:, :common].to(given.device)
    own = mask[:, :common].to(given.device)
    if text.padding is not None and bool((~own & ~same & (placed != text.padding)).any()):
        # A token of the model's own behind a shorter text of a batch, where this one has padding.
        return False
    if shift:
        # The last token of each text may be missing, shifted out or put to the front.
        last = mask.long().cumsum(-1) == mask.sum(-1, keepdim=True)
        own = own & ~last[:, :common].to(given.device)
        if not bool(own.any()):
            return given.shape[1] <= text.ids.shape[1]
    return bool((same | ~own).all())


def _traced(
    given: Tensor, text: JoinedTexts, shift: int, transposed: bool, number: int
) -> TracedCall:
    rows, width = given.shape
    fields = torch.zeros(rows, width, dtype=torch.long)
    tokens = torch.full((rows, width), PADDING)
    # What stands before a text that is read later is the model's own.
    tokens[:, :shift] = UNASSIGNED
    common = min(width - shift, text.ids.shape[1])
    mask = text.mask[:, :common].cpu()
    if width <= text.ids.shape[1]:
        # What is shifted loses its last token, as the longest text does where it has no padding.
        mask = mask & text.mask[:, shift : shift + common].cpu()
    place = slice(shift, shift + common)
    own_fields = text.fields[:, :common].cpu().clamp_min(0)
    own_tokens = torch.where(mask, text.tokens[:, :common].cpu(), PADDING)
    fields[:, place], tokens[:, place] = own_fields, own_tokens
    end = shift + common
    while end < width:
        rest = given[:, end:]
        if common and rest.shape[1] >= text.ids.shape[1] and _fits(rest, text, 0):
            # The text once more, as a model has it that reads everything twice.
            place = slice(end, end + common)
            fields[:, place], tokens[:, place] = own_fields, own_tokens
            end += common
        else:
            if text.padding is not None:
                # What is no padding counts, though it is no token's.
                tokens[:, end:][(rest != text.padding).cpu()] = UNASSIGNED
            break
    return TracedCall(text.names, fields, tokens, transposed, number)
