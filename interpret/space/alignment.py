"""Which token of a text field each position of an embedding layer belongs to.

A layer sees neither tokens nor texts: it sees wordpieces, with special tokens that an indexer
added, folded into segments where they are too long, one row per item of a list field. This file
traces positions back to tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from allennlp.data import Instance, TokenIndexer
from allennlp.data.fields import ListField, TextField
from allennlp.data.tokenizers import Token
from torch import Tensor

from ..errors import InterpretationError
from ..inputs.texts import TextItem, text_items, tokenizer_of
from ..model.embedding_layers import EmbeddingLayer
from ..positions import PADDING, UNASSIGNED

FieldTensors = Mapping[str, Mapping[str, Tensor]]


def align(
    name: str,
    instances: Sequence[Instance],
    tensors: FieldTensors | None,
    layer: EmbeddingLayer,
    positions: int,
) -> tuple[Tensor, Tensor]:
    """Traces the positions of one call of an embedding layer back to the field's tokens.

    Args:
        name: The field.
        instances: The instances of the batch.
        tensors: What the text field embedder got: the field's tensors by indexer. None where
            the layer was called from outside a text field embedder.
        layer: The layer that was called.
        positions: How many positions it returned per instance.

    Returns:
        `CallLayout.tokens` and `CallLayout.special`, `(instances, positions)` each.

    Raises:
        InterpretationError: If there are fewer positions than tokens.
    """
    _check_is_text(name, instances)
    depth = max(
        (len(item.index) for i in instances for item in text_items(i.fields[name])), default=0
    )
    source = _Source.of(tensors, layer, depth, positions)
    tokens = torch.full((len(instances), source.items, source.width), PADDING)
    special = torch.zeros(tokens.shape, dtype=torch.bool)
    for row, instance in enumerate(instances):
        for item in text_items(instance.fields[name]):
            slot = source.slot(item.index)
            try:
                source.fill(row * source.items + slot, item, tokens[row, slot], special[row, slot])
            except IndexError as error:
                raise InterpretationError(
                    f"field {item.name(name)!r} has {len(item.text.tokens)} tokens, but its "
                    f"embedding layer returned {source.width} positions, {positions} per "
                    "instance; override get_interpretable_layer in the predictor to name a layer "
                    "with a position per token or wordpiece"
                ) from error
    return tokens.flatten(1), special.flatten(1)


def special_tokens(
    instances: Sequence[Instance], names: Sequence[str], fields: Tensor, tokens: Tensor
) -> Tensor:
    """Which positions hold a token that a tokenizer adds to every text.

    Args:
        instances: The instances of the batch.
        names: The text fields.
        fields: The field of each position, a place in `names`, `(instances, positions)`.
        tokens: The number of its token there, negative for none, `(instances, positions)`.

    Returns:
        `CallLayout.special`, `(instances, positions)`. A position that is no field's but no
        padding either is special, too.
    """
    special = tokens == UNASSIGNED
    for place, name in enumerate(names):
        _check_is_text(name, instances)
        for row, instance in enumerate(instances):
            own = (fields[row] == place) & (tokens[row] >= 0)
            added: list[bool] = []
            for item in text_items(instance.fields[name]):
                ids = added_ids(next(iter(item.text.token_indexers.values()), None))
                added += [is_added(token, ids) for token in item.text.tokens]
            special[row, own] = torch.tensor(added, dtype=torch.bool)[tokens[row, own]]
    return special


def _check_is_text(name: str, instances: Sequence[Instance]) -> None:
    kind = type(instances[0].fields[name])
    if not issubclass(kind, (TextField, ListField)):
        raise InterpretationError(
            f"field {name!r} is a {kind.__name__}, which has no tokens to score; make it a "
            "TextField, or a ListField of them, in the dataset reader"
        )


@dataclass(frozen=True)
class _Source:
    """The source of the positions of one call.

    Attributes:
        layer: The layer that was called.
        pieces: The tensors of the indexer that it embeds, leading dimensions flattened.
        shape: Sizes of the list dimensions, padded.
        width: Positions per item.
        unfolded: For each wordpiece of each row its position before folding.
    """

    layer: EmbeddingLayer
    pieces: dict[str, Tensor]
    shape: tuple[int, ...]
    width: int
    unfolded: Tensor | None

    @property
    def items(self) -> int:
        return math.prod(self.shape)

    def slot(self, index: tuple[int, ...]) -> int:
        """The place of a list item among the padded items of its instance."""
        slot = 0
        for number, size in zip(index, self.shape, strict=True):
            slot = slot * size + number
        return slot

    @classmethod
    def of(
        cls, tensors: FieldTensors | None, layer: EmbeddingLayer, depth: int, positions: int
    ) -> _Source:
        pieces, shape = _pieces(tensors, layer, depth)
        items = math.prod(shape)
        if positions % items:
            raise InterpretationError(
                f"an embedding layer returned {positions} positions per instance for {items} list "
                "items; override get_interpretable_layer in the predictor"
            )
        width = positions // items
        if _per_token(pieces, width):
            pieces = {"mask": pieces["mask"]}
        unfolded = _unfolded(layer, pieces)
        widths = {value.shape[1] for value in pieces.values() if value.dim() > 1}
        if widths and unfolded is None and width not in widths:
            raise InterpretationError(
                f"an embedding layer returned {width} positions for a text of "
                f"{' or '.join(map(str, sorted(widths)))}; override get_interpretable_layer in "
                "the predictor to name a layer with a position per token or wordpiece"
            )
        return cls(layer, pieces, shape, width, unfolded)

    def fill(self, row: int, item: TextItem, tokens: Tensor, special: Tensor) -> None:
        """Writes the tokens of one item, and which positions are special, into its slots."""
        count = len(item.text.tokens)
        first = item.first_token
        for position in self._real(row, item):
            tokens[position] = UNASSIGNED
            special[position] = True
        added = added_ids(self._indexer(item))
        for number, span in enumerate(self._spans(row, item, count)):
            for position in span:
                tokens[position] = first + number
                special[position] = is_added(item.text.tokens[number], added)

    def _real(self, row: int, item: TextItem) -> Iterator[int]:
        """The positions that hold something."""
        for name in ("segment_concat_mask", "wordpiece_mask", "mask"):
            mask = self.pieces.get(name)
            if mask is not None and mask.shape[1] <= self.width:
                yield from mask[row].nonzero().flatten().tolist()
                return
        start, end = _affixes(self._indexer(item))
        yield from range(min(self.width, start + len(item.text.tokens) + end))

    def _spans(self, row: int, item: TextItem, count: int) -> Iterator[Sequence[int]]:
        """The positions of each token."""
        offsets = self.pieces.get("offsets")
        if offsets is not None:
            for start, end in offsets[row, :count].tolist():
                pieces = range(start, end + 1) if start >= 0 else ()
                yield [self._position(row, piece) for piece in pieces]
            return
        start, _ = _affixes(self._indexer(item))
        for number in range(count):
            yield [self._position(row, start + number)]

    def _position(self, row: int, piece: int) -> int:
        return piece if self.unfolded is None else int(self.unfolded[row, piece])

    def _indexer(self, item: TextItem) -> TokenIndexer | None:
        indexers = item.text._token_indexers or {}
        if self.layer.indexer is not None:
            return indexers.get(self.layer.indexer)
        return next(iter(indexers.values())) if len(indexers) == 1 else None


def _pieces(
    tensors: FieldTensors | None, layer: EmbeddingLayer, depth: int
) -> tuple[dict[str, Tensor], tuple[int, ...]]:
    """The tensors of the layer's indexer, list dimensions flattened into rows, and their sizes."""
    named: Mapping[str, Tensor] = {}
    if layer.indexer is None and not layer.embeds:
        # Beyond the text field embedder there are tokens, no wordpieces.
        tensors = None
    if tensors is not None and layer.indexer is not None:
        named = tensors.get(layer.indexer, {})
    elif tensors is not None:
        # A layer that the predictor names itself: wordpieces if anything has them.
        named = next((t for t in tensors.values() if "offsets" in t), {})
        named = named or next(iter(tensors.values()), {})
    shape = next((tuple(value.shape[1 : 1 + depth]) for value in named.values()), (1,) * depth)
    return {key: value.cpu().flatten(0, depth) for key, value in named.items()}, shape


def _per_token(pieces: Mapping[str, Tensor], width: int) -> bool:
    """Whether a layer behind a mismatched indexer has a position per token, as an embedder's top
    has, not one per wordpiece."""
    offsets, ids = pieces.get("offsets"), pieces.get("token_ids")
    return offsets is not None and ids is not None and width == offsets.shape[1] != ids.shape[1]


def _unfolded(layer: EmbeddingLayer, pieces: Mapping[str, Tensor]) -> Tensor | None:
    """Where the embedder puts each wordpiece of a text that it folds into segments.

    The embedder is asked itself: it unfolds the numbers of the positions as it does vectors.
    """
    embedder = layer.transformer
    ids: Any = pieces.get("token_ids")
    mask: Any = pieces.get("segment_concat_mask")
    if embedder is None or embedder._max_length is None or ids is None or mask is None:
        return None
    if ids.shape[1] <= embedder._max_length:
        return None
    rows, width = ids.shape
    folded: Any
    _, folded, _ = embedder._fold_long_sequences(ids, mask, None)
    segments = folded.shape[0] // rows
    numbers: Any = torch.arange(segments * embedder._max_length, dtype=torch.float64)
    numbers = numbers.repeat(rows).view(rows * segments, embedder._max_length, 1)
    return embedder._unfold_long_sequences(numbers, folded, rows, width).squeeze(-1).long()


def _affixes(indexer: Any) -> tuple[int, int]:
    """How many tokens an indexer puts before and after the field's own."""
    start = getattr(indexer, "_start_tokens", None) or ()
    end = getattr(indexer, "_end_tokens", None) or ()
    return len(start), len(end)


def added_ids(indexer: Any) -> frozenset[int]:
    """Indices of the tokens that a transformer's tokenizer adds to every text."""
    tokenizer = tokenizer_of(indexer)
    names = ("cls", "sep", "bos", "eos", "pad")
    ids = (getattr(tokenizer, f"{name}_token_id", None) for name in names)
    return frozenset(number for number in ids if number is not None)


def is_added(token: Token, added: frozenset[int]) -> bool:
    """Whether a token is one of those that a tokenizer adds to every text."""
    # A token of the user's text has a position in it.
    return getattr(token, "text_id", None) in added and token.idx is None
