"""Text fields as the sequences of token ids that a model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from allennlp.data import TextFieldTensors
from torch import Tensor

from allennlp_saliency.interpret.contracts import JoinedTexts
from allennlp_saliency.interpret.positions import HELD, UNASSIGNED


@dataclass(frozen=True)
class TokenSequence(JoinedTexts):
    """Token ids without padding in between, `(rows, positions)`, and what goes with them.

    Attributes:
        types: Which text of a pair each token is of, as the tokenizer says; None where it does
            not.
        attended: Which positions the model attends to; None for those of `mask`.
    """

    types: Tensor | None = None
    attended: Tensor | None = None

    @property
    def attention_mask(self) -> Tensor:
        """1 for each position that the model attends to, `(rows, positions)`."""
        return (self.mask if self.attended is None else self.attended).long()

    @property
    def lengths(self) -> Tensor:
        """Tokens of each row, `(rows,)`."""
        return self.attention_mask.sum(-1)

    def row(self, number: int) -> TokenSequence:
        """One of the rows, without its padding, `(1, positions)`."""
        own = self.attention_mask[number].bool()
        given = {
            name: getattr(self, name)[number, own].unsqueeze(0)
            for name in ("ids", "mask", "fields", "tokens", "types", "attended")
            if getattr(self, name) is not None
        }
        return replace(self, **given)

    def followed_by(self, ids: Tensor) -> TokenSequence:
        """The same with tokens of no field behind it, `(rows, tokens)`."""
        both = self, of_ids(ids)
        ids, mask, fields, tokens = (
            torch.cat([getattr(one, name) for one in both], dim=-1)
            for name in ("ids", "mask", "fields", "tokens")
        )
        return TokenSequence(self.names, ids, mask, fields, tokens, self.padding)

    def held(self, name: str) -> TokenSequence:
        """The same where the tokens of one text are part of what is explained; that text is the
        last of the names."""
        own = self.mask & (self.fields == self.names.index(name))
        fields, tokens = self.fields.masked_fill(own, -1), self.tokens.masked_fill(own, HELD)
        return replace(self, names=self.names[:-1], fields=fields, tokens=tokens)

    @property
    def padded(self) -> bool:
        """Whether some row has padding."""
        return not bool(self.attention_mask.all())


def joined(
    texts: Mapping[str, TextFieldTensors],
    padding: int,
    order: Sequence[str] | None = None,
    left: bool = False,
) -> TokenSequence:
    """Texts one after the other.

    Args:
        texts: Text fields by name, in the order in which the model reads them; those of a list
            field, `(rows, items, positions)`, give a sequence for each item, with the other texts
            before or behind it.
        padding: The id that fills up shorter rows.
        order: The names in the order in which explanations list them from the last; None for the
            order in which the model reads them.
        left: Whether padding goes before the tokens and not behind them.
    """
    names = tuple(order or texts)
    tensors = [text["tokens"] for text in texts.values()]
    items = next((one["mask"].shape[1] for one in tensors if one["mask"].dim() == 3), None)
    parts = [_part(one, names.index(name), items) for name, one in zip(texts, tensors, strict=True)]
    common = set.intersection(*(set(part) for part in parts))
    whole = {key: torch.cat([part[key] for part in parts], dim=-1) for key in common}
    attended = whole["attended"]
    whole["ids"] = whole["ids"].masked_fill(~attended, padding)
    if not bool(attended.all()):
        order_of = torch.argsort((attended if left else ~attended).long(), dim=-1, stable=True)
        longest = max(int(attended.sum(-1).max()), 1)
        order_of = order_of[:, -longest:] if left else order_of[:, :longest]
        whole = {key: value.gather(-1, order_of) for key, value in whole.items()}
    return TokenSequence(names=names, padding=padding, **whole)


def _part(tensors: Mapping[str, Tensor], field: int, items: int | None) -> dict[str, Tensor]:
    """One text, `(rows, positions)`: a row for each item where there are items."""
    ids, mask = tensors["token_ids"], tensors["mask"]
    numbers = torch.arange(ids.shape[-1], device=ids.device).expand(ids.shape)
    part = {"ids": ids, "attended": mask, "mask": mask, "tokens": numbers}
    if "type_ids" in tensors:
        part["types"] = tensors["type_ids"]
    if items is not None and mask.dim() == 2:
        part = {key: value.unsqueeze(1).expand(-1, items, -1) for key, value in part.items()}
    elif items is not None:
        lengths = mask.sum(-1)
        first = (lengths.cumsum(-1) - lengths).unsqueeze(-1)
        part["tokens"] = numbers + first
    part = {key: value.flatten(0, -2) for key, value in part.items()}
    part["fields"] = torch.full_like(part["ids"], field)
    return part


def without_items(sequence: TokenSequence, there: Tensor) -> TokenSequence:
    """The sequences of items that are there only because another row has more of them, without
    tokens: the model reads them, but they belong to no field.

    Args:
        sequence: A row for each item.
        there: Which items there are, `(rows, items)`.
    """
    return replace(sequence, mask=sequence.mask & there.reshape(-1, 1))


def of_ids(ids: Tensor) -> TokenSequence:
    """Ids without padding that are no field's, `(rows, positions)`."""
    mask = torch.ones_like(ids, dtype=torch.bool)
    return TokenSequence((), ids, mask, torch.full_like(ids, -1), torch.full_like(ids, UNASSIGNED))
