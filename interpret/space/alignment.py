"""Which token of a text field each position of an embedding layer belongs to.

A layer sees neither tokens nor texts: it sees wordpieces, with special tokens that an indexer
added, folded into segments where they are too long, one row per item of a list field. This file
traces positions back to tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from allennlp.data import Instance, TokenIndexer
from allennlp.data.fields import ListField, TextField
from allennlp.data.tokenizers import Token
from torch import Tensor

from ..errors import InterpretationError
from ..inputs.collation import TracedCall
from ..inputs.texts import TextItem, text_items, tokenizer_of
from ..model.embedding_layers import EmbeddingLayer
from ..positions import PADDING, UNASSIGNED
from .layout import EmbeddingCall
from .recording import RecordedCall


def align(call: RecordedCall, instances: Sequence[Instance]) -> EmbeddingCall:
    """Traces the positions of one call of an embedding layer back to the tokens of text fields.

    Args:
        call: The call.
        instances: The instances of the batch.

    Raises:
        InterpretationError: If the fields have no tokens, or more than the layer returned positions
            for.
    """
    texts: list[list[list[TextItem]]] = []
    for name in call.names:
        kind = type(instances[0].fields[name])
        if not issubclass(kind, (TextField, ListField)):
            raise InterpretationError(
                f"field {name!r} is a {kind.__name__}, which has no tokens to score; make it a "
                "TextField, or a ListField of them, in the dataset reader"
            )
        texts.append([text_items(instance.fields[name]) for instance in instances])
    rows, positions, dim = call.part(len(instances)).shape
    if isinstance(call.origin, TracedCall):
        fields, tokens = call.origin.fields.view(rows, -1), call.origin.tokens.view(rows, -1)
        special = _special(texts, fields, tokens)
    else:
        tokens, special = _of_field(call, texts[0], call.origin, positions)
        fields = torch.zeros_like(tokens)
    indexers = next((item.text._token_indexers for own in texts[0] for item in own), None) or {}
    return EmbeddingCall(
        layer=call.layer,
        names=call.names,
        indexer=indexers.get(call.layer.indexer or next(iter(indexers), "")),
        shape=tuple(call.leaf.shape),
        transposed=call.transposed,
        dtype=call.leaf.dtype,
        device=call.leaf.device,
        positions=positions,
        dim=dim,
        fields=fields,
        tokens=tokens,
        special=special,
    )


def _special(texts: list[list[list[TextItem]]], fields: Tensor, tokens: Tensor) -> Tensor:
    """Which positions of joined texts hold a token that a tokenizer adds to every text. A position
    that is no field's but no padding either is special, too."""
    special = tokens == UNASSIGNED
    for place, by_row in enumerate(texts):
        for row, items in enumerate(by_row):
            own = (fields[row] == place) & (tokens[row] >= 0)
            added: list[bool] = []
            for item in items:
                ids = added_ids(next(iter(item.text.token_indexers.values()), None))
                added += [is_added(token, ids) for token in item.text.tokens]
            special[row, own] = torch.tensor(added, dtype=torch.bool)[tokens[row, own]]
    return special


def _of_field(
    call: RecordedCall,
    texts: list[list[TextItem]],
    tensors: Mapping[str, Any] | None,
    positions: int,
) -> tuple[Tensor, Tensor]:
    """`EmbeddingCall.tokens` and `special` of a call that embedded one text field, whose items are
    `texts`, instance by instance, and `tensors` by indexer, None outside a text field embedder."""
    depth = max((len(item.index) for items in texts for item in items), default=0)
    pieces, shape = _pieces(tensors, call.layer, depth)
    slots = math.prod(shape)
    if positions % slots:
        raise InterpretationError(
            f"an embedding layer returned {positions} positions per instance for {slots} list "
            "items; override get_interpretable_layer in the predictor"
        )
    width = positions // slots
    offsets, ids = pieces.get("offsets"), pieces.get("token_ids")
    if offsets is not None and ids is not None and width == offsets.shape[1] != ids.shape[1]:
        # A layer behind a mismatched indexer with a position per token, as an embedder's top has.
        pieces = {"mask": pieces["mask"]}
    folded = "segment_concat_mask" in pieces
    unfolded = _unfolded(call.layer, pieces) if folded else None
    widths = {value.shape[1] for value in pieces.values() if value.dim() > 1}
    if widths and unfolded is None and width not in widths:
        raise InterpretationError(
            f"an embedding layer returned {width} positions for a text of "
            f"{' or '.join(map(str, sorted(widths)))}; override get_interpretable_layer in "
            "the predictor to name a layer with a position per token or wordpiece"
        )
    tokens = torch.full((len(texts) * slots, width), PADDING)
    special = torch.zeros(tokens.shape, dtype=torch.bool)
    for row, items in enumerate(texts):
        for item in items:
            slot = row * slots
            for place, number in enumerate(item.index):
                slot += number * math.prod(shape[place + 1 :])
            own = {name: value[slot] for name, value in pieces.items()}
            places = None if unfolded is None else unfolded[slot]
            try:
                _fill(item, call.layer.indexer, own, places, tokens[slot], special[slot])
            except IndexError as error:
                raise InterpretationError(
                    f"field {item.name(call.names[0])!r} has {len(item.text.tokens)} tokens, but "
                    f"its embedding layer returned {width} positions, {positions} per "
                    "instance; override get_interpretable_layer in the predictor to name a layer "
                    "with a position per token or wordpiece"
                ) from error
    return tokens.view(len(texts), -1), special.view(len(texts), -1)


def _fill(
    item: TextItem,
    name: str | None,
    pieces: Mapping[str, Tensor],
    unfolded: Tensor | None,
    tokens: Tensor,
    special: Tensor,
) -> None:
    """Writes the tokens of one item, and which positions are special, `(width,)` each; `pieces` are
    the tensors of the indexer called `name` for it, `unfolded` the position of each wordpiece."""
    indexers = item.text._token_indexers or {}
    indexer = indexers.get(name) if name is not None else None
    if name is None and len(indexers) == 1:
        indexer = next(iter(indexers.values()))
    # How many tokens the indexer puts before and after the field's own.
    before = len(getattr(indexer, "_start_tokens", None) or ())
    after = len(getattr(indexer, "_end_tokens", None) or ())
    masks = (pieces.get(mask) for mask in ("segment_concat_mask", "wordpiece_mask", "mask"))
    mask = next((one for one in masks if one is not None and len(one) <= len(tokens)), None)
    count = before + len(item.text.tokens) + after
    real = slice(count) if mask is None else mask.nonzero().flatten()
    tokens[real], special[real] = UNASSIGNED, True
    added = added_ids(indexer)
    spans = [(before + number, before + number) for number in range(len(item.text.tokens))]
    if "offsets" in pieces:
        spans = pieces["offsets"].tolist()
    for number, (token, (start, end)) in enumerate(zip(item.text.tokens, spans, strict=False)):
        for piece in range(start, end + 1) if start >= 0 else ():
            position = piece if unfolded is None else int(unfolded[piece])
            tokens[position] = item.first_token + number
            special[position] = is_added(token, added)


def _pieces(
    tensors: Mapping[str, Any] | None, layer: EmbeddingLayer, depth: int
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


def _unfolded(layer: EmbeddingLayer, pieces: Mapping[str, Tensor]) -> Tensor | None:
    """Where the embedder puts each wordpiece of a text that it folds into segments: it is asked
    itself, and unfolds the numbers of the positions as it does vectors."""
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


def added_ids(indexer: TokenIndexer | None) -> frozenset[int]:
    """Indices of the tokens that a transformer's tokenizer adds to every text."""
    tokenizer = tokenizer_of(indexer)
    names = ("cls", "sep", "bos", "eos", "pad")
    ids = (getattr(tokenizer, f"{name}_token_id", None) for name in names)
    return frozenset(number for number in ids if number is not None)


def is_added(token: Token, added: frozenset[int]) -> bool:
    """Whether a token is one of those that a tokenizer adds to every text."""
    # A token of the user's text has a position in it.
    return getattr(token, "text_id", None) in added and token.idx is None
