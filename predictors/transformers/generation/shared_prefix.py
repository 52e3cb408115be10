"""Texts that begin alike: their common beginning goes through the model once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from allennlp_saliency.interpret.target.prediction_check import alike

Call = Callable[[Mapping[str, Any]], Any]

# Shorter ones save less than it takes to look for them.
_LEAST = 16
# After so many batches that begin differently the next is expected to, too.
_MISSES = 4
_PROBE = 12


class SharedPrefix:
    """The keys and values of the first text that runs and of the last, for those that begin alike.

    Texts are compared by the vectors that their tokens embed as, so that it does not matter whether
    tokens were deleted or their vectors replaced.

    Args:
        transformer: The Hugging Face model.
        call: What runs it on its own arguments.
        least: The shortest beginning that is shared.

    Attributes:
        shared: How many positions were not run again.
    """

    def __init__(self, transformer: Any, call: Call, least: int = _LEAST) -> None:
        self._transformer = transformer
        self._call = call
        self._least = least
        self._kept: list[_Text] = []
        self._misses = 0
        self.shared = 0

    def logits(self, inputs: Mapping[str, Any], places: Tensor) -> Tensor:
        """The logits in some places of texts, `(rows, places, vocabulary)`.

        Args:
            inputs: The model's arguments, with `input_ids`, `(rows, positions)`.
            places: The places, `(places,)`.
        """
        embedded = self._transformer.get_input_embeddings()(inputs["input_ids"])
        given = {**inputs, "inputs_embeds": embedded, "logits_to_keep": places}
        del given["input_ids"]
        mask, last = inputs.get("attention_mask"), int(places.min())
        lengths = [one.common(embedded, mask, last) for one in self._kept]
        length = max(lengths, default=0)
        if length >= self._least:
            text = self._kept[lengths.index(length)]
            given.update(_behind(given, length), past_key_values=text.cache(length, len(embedded)))
            self.shared += length * len(embedded)
            self._misses = 0
        elif self._kept:
            self._misses += 1
        # Texts that begin differently are not kept: that takes memory.
        keeps = self._misses < _MISSES
        outputs = self._call({**given, "use_cache": keeps or length >= self._least})
        if keeps:
            self._keep(embedded, mask, outputs.past_key_values)
        logits: Tensor = outputs.logits
        return logits

    def _keep(self, embedded: Tensor, mask: Tensor | None, cache: Any) -> None:
        """Keeps a row, where the model's cache holds every position of it."""
        from transformers.cache_utils import DynamicLayer

        layers = getattr(cache, "layers", ())
        plain = bool(layers) and all(type(one) is DynamicLayer for one in layers)
        if not plain or any(one.keys.shape[-2] != embedded.shape[1] for one in layers):
            self._misses = _MISSES
            return
        row = slice(-1, None) if self._kept else slice(1)
        # Copies: else the other rows of the batch would be kept, too.
        states = [(one.keys[row].clone(), one.values[row].clone()) for one in layers]
        real = torch.ones_like(embedded[..., 0]) if mask is None else mask
        text = _Text(embedded[row][0].clone(), real[row][0].bool(), states)
        self._kept = [*self._kept[:1], text]


@dataclass(frozen=True)
class _Text:
    """A text that was run: its vectors, `(positions, dim)`, which of them are no padding,
    `(positions,)`, and per layer keys and values."""

    embedded: Tensor
    real: Tensor
    layers: list[tuple[Tensor, Tensor]]

    def common(self, embedded: Tensor, mask: Tensor | None, last: int) -> int:
        """How many first positions all rows share with it, of those before `last`."""
        most = min(last, len(self.embedded))
        same = (embedded[:, :most] == self.embedded[:most]).all(-1) & self.real[:most]
        if mask is not None:
            same = same & mask[:, :most].bool()
        return int(same.all(0).long().cumprod(0).sum())

    def cache(self, length: int, rows: int) -> Any:
        """Its first positions as a cache of so many rows."""
        from transformers import DynamicCache

        cache = DynamicCache()
        for number, layer in enumerate(self.layers):
            keys, values = (one[:, :, :length].expand(rows, -1, -1, -1) for one in layer)
            cache.update(keys, values, number)
        return cache


def _behind(given: Mapping[str, Any], length: int) -> dict[str, Any]:
    """The arguments that change where the first positions are not run."""
    names = ("inputs_embeds", "position_ids", "token_type_ids")
    behind = {name: given[name][:, length:] for name in names if name in given}
    return {**behind, "logits_to_keep": given["logits_to_keep"] - length}


class Sharing:
    """While it is open a model shares prefixes; it may be opened again, and remembers its texts.

    Args:
        model: The model, with an attribute `shared_prefix`.
        prefix: What is shared; None for nothing.
    """

    def __init__(self, model: Any, prefix: SharedPrefix | None) -> None:
        self._model = model
        self._prefix = prefix
        self._before: list[SharedPrefix | None] = []

    def __enter__(self) -> None:
        self._before.append(self._model.shared_prefix)
        self._model.shared_prefix = self._prefix

    def __exit__(self, *exception: object) -> None:
        self._model.shared_prefix = self._before.pop()


def shares_prefixes(transformer: Any, takes: frozenset[str], call: Call) -> bool:
    """Whether a model returns the same for a text whose beginning it read before, found by trying.

    Args:
        transformer: The model.
        takes: The names of its arguments.
        call: What runs it.
    """
    needed = {"input_ids", "inputs_embeds", "past_key_values", "use_cache", "logits_to_keep"}
    if not needed <= takes or _positions_by_length(transformer.config):
        return False
    try:
        layer = transformer.get_input_embeddings()
        device = next(layer.parameters()).device
        ids = torch.arange(_PROBE, device=device) % transformer.config.vocab_size
        other = ids.clone()
        other[_PROBE // 2] = ids[0]
        places = torch.tensor([_PROBE - 2, _PROBE - 1], device=device)
        probe = SharedPrefix(transformer, call, least=1)
        with torch.no_grad():
            inputs = [{"input_ids": one[None], "use_cache": False} for one in (ids, other)]
            own = [call({**one, "logits_to_keep": places}).logits for one in inputs]
            found = [probe.logits(one, places) for one in inputs]
    except Exception:
        # Whatever a model's own code makes of a cache: it is run without one.
        return False
    return probe.shared == _PROBE // 2 and alike(torch.cat(own), torch.cat(found))


def _positions_by_length(config: Any) -> bool:
    """Whether the keys of a position depend on the length of the whole text: rotary embeddings that
    are scaled by it. A shorter text would need other keys than those that are kept."""
    scaling = (getattr(config, name, None) for name in ("rope_parameters", "rope_scaling"))
    kinds = {
        str(one.get("rope_type", one.get("type")))
        for given in scaling
        if isinstance(given, dict)
        for one in (given, *given.values())
        if isinstance(one, dict)
    }
    return not kinds.isdisjoint(("dynamic", "longrope", "su", "yarn-dynamic"))
