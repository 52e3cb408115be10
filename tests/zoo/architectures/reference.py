"""What Hugging Face itself makes of an input: the model's own forward, on its tokenizer's ids."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

Ids = list[int]


@dataclass(frozen=True)
class Forward:
    """A call of the model, and the number that is read from what it returns.

    Attributes:
        inputs: The call's arguments.
        read: Makes of the outputs one number.
        sequences: The ids that the call embeds, by their part: "text", or "source" and
            "generated" of an encoder and its decoder.
    """

    inputs: Mapping[str, Any]
    read: Callable[[Any], Tensor]
    sequences: Mapping[str, Ids]


@dataclass(frozen=True)
class Scores:
    """Input times gradient by hand.

    Attributes:
        value: The number that was differentiated.
        size: What rounding goes by: the largest sum of a token's products without regard to sign.
            Where a norm follows on the embedding, the products of each token cancel.
        parts: Per part of `Forward.sequences` one score a token; None where the calls of the
            embedding layers do not show which token they embed.
    """

    value: float
    size: float
    parts: dict[str, list[float]] | None


def input_x_gradient(model: Any, forward: Forward) -> Scores:
    """Embedding times gradient, summed over each token's coordinates, through the model's own
    forward: leaves are put in at the outputs of the input-embedding layers."""
    with recorded_embeddings(model) as calls:
        value = forward.read(model(**forward.inputs))
        leaves = [leaf for _, leaf in calls]
        gradients = torch.autograd.grad(value, leaves, allow_unused=True) if leaves else ()
    rows, size = [], 0.0
    for (ids, leaf), gradient in zip(calls, gradients, strict=True):
        products = torch.zeros_like(leaf) if gradient is None else leaf.detach() * gradient
        products = products.reshape(*ids.shape, -1)
        size = max(size, float(products.abs().sum(-1).max()))
        rows.append((ids, products.sum(-1)))
    padding = getattr(getattr(model, "config", None), "pad_token_id", None)
    parts = _by_part(rows, forward.sequences, padding)
    return Scores(float(value.detach()), size, parts)


@contextmanager
def recorded_embeddings(model: Any) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collects the ids of each call of an input-embedding layer, and the leaf in the place of
    what it returned."""
    calls: list[tuple[Tensor, Tensor]] = []

    def replace(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        ids = next((one for one in (*args, *kwargs.values()) if _are_ids(one)), None)
        first = output[0] if isinstance(output, tuple) else output
        if ids is None or first.shape[: ids.dim()] != ids.shape:
            return output
        leaf = first.detach().requires_grad_()
        calls.append((ids, leaf))
        # Not the leaf itself: some models scale in place.
        copy = leaf.clone()
        return (copy, *output[1:]) if isinstance(output, tuple) else copy

    handles = [
        layer.register_forward_hook(replace, with_kwargs=True) for layer in embedding_layers(model)
    ]
    try:
        with torch.enable_grad():
            yield calls
    finally:
        for handle in handles:
            handle.remove()


def embedding_layers(model: Any) -> list[nn.Module]:
    """The layers that embed tokens: what the model and its decoder name, and those that share
    their weights."""
    named = [model.get_input_embeddings()]
    for part in ("get_encoder", "get_decoder"):
        inner = getattr(model, part, lambda: None)()
        if inner is not None and inner is not model:
            try:
                named.append(inner.get_input_embeddings())
            except (AttributeError, NotImplementedError):
                named.append(getattr(inner, "embed_tokens", None))
    named = [one for one in named if isinstance(one, nn.Module)]
    weights = {
        one.weight.data_ptr() for one in named if isinstance(getattr(one, "weight", None), Tensor)
    }
    sharing = [
        module
        for module in model.modules()
        if isinstance(module, nn.Embedding) and module.weight.data_ptr() in weights
    ]
    return list(dict.fromkeys([*named, *sharing]))


def _are_ids(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.int64, torch.int32)


def _by_part(
    rows: list[tuple[Tensor, Tensor]], sequences: Mapping[str, Ids], padding: int | None
) -> dict[str, list[float]] | None:
    """The scores of calls as scores of tokens, None where a call is none of the sequences."""
    scores = {part: [0.0] * len(ids) for part, ids in sequences.items()}
    seen: list[str] = []
    for ids, products in _single_rows(rows, sequences):
        if ids.numel() != max(ids.shape):
            return None
        own = ids.flatten().tolist()
        # An encoder comes before its decoder, also where both read the same.
        if padding is not None and set(own) == {padding} and own not in sequences.values():
            # What fills a window up is embedded by itself.
            continue
        order = sorted(sequences, key=lambda part: part in seen)
        match = next((m for part in order if (m := _match(part, own, sequences[part]))), None)
        if match is None:
            return None
        part, shift = match
        seen.append(part)
        for place, score in enumerate(products.flatten().tolist()):
            if 0 <= place - shift < len(sequences[part]):
                scores[part][place - shift] += score
    return scores if rows else None


def _single_rows(
    calls: list[tuple[Tensor, Tensor]], sequences: Mapping[str, Ids]
) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows of calls that embed several sequences at once, as far as they are the text's: the
    number depends on no other."""
    for ids, products in calls:
        if ids.dim() != 2 or ids.numel() == max(ids.shape):
            yield ids, products
            continue
        for one, scores in ((ids, products), (ids.T, products.T)):
            known = [
                n
                for n, row in enumerate(one.tolist())
                if any(_match(part, row, whole) for part, whole in sequences.items())
            ]
            if known:
                yield from ((one[n : n + 1], scores[n : n + 1]) for n in known)
                break


def _match(part: str, own: Ids, whole: Ids) -> tuple[str, int] | None:
    """Where a call's ids stand in a sequence: as they are, with something behind them (padding
    to a multiple, a dummy), or one later, as a decoder reads what it repeats."""
    count = len(whole)
    if own[:count] == whole:
        return part, 0
    if own[-count:] == whole:
        # Padded on the left.
        return part, len(own) - count
    if len(own) == count and own[1:] == whole[:-1]:
        return part, 1
    return None


def accepted(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a model's forward has parameters for."""
    parameters = inspect.signature(model.forward).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return dict(inputs)
    return {name: value for name, value in inputs.items() if name in parameters}


class Writing:
    """Greedy generation by Hugging Face's own `generate`.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        inputs: What `generate` starts from.
    """

    def __init__(self, model: Any, tokenizer: Any, inputs: Mapping[str, Any]) -> None:
        self.model = model
        self.inputs = dict(inputs)
        self.both = bool(model.config.is_encoder_decoder)
        self._padding = tokenizer.pad_token_id
        ends = getattr(model.generation_config, "eos_token_id", None)
        self.ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)

    def generate(self, count: int, **inputs: Any) -> Any:
        """What `generate` returns for so many new tokens at most."""
        padding = self._padding if self._padding is not None else (self.ends or [0])[0]
        with torch.no_grad():
            return self.model.generate(
                **{**self.inputs, **inputs},
                max_new_tokens=count,
                do_sample=False,
                num_beams=1,
                pad_token_id=padding,
                output_logits=True,
                return_dict_in_generate=True,
            )

    def written(self, count: int) -> Ids:
        """The new ids, up to the end of the text."""
        row = self.generate(count).sequences[0].tolist()
        row = row[1 if self.both else self.inputs["input_ids"].shape[1] :]
        end = next((n for n, one in enumerate(row) if one in self.ends), len(row) - 1)
        return row[: end + 1]

    @property
    def start(self) -> int:
        """The id that the decoder starts from."""
        return int(self.generate(1).sequences[0, 0])

    def next_logits(self, so_far: Ids) -> Tensor:
        """The model's own logits of the next token after what was written, `(vocabulary,)`."""
        if self.both and self._is_plain:
            return self.plain_logits(so_far)
        if self.both:
            given = {"decoder_input_ids": torch.tensor([[self.start, *so_far]])}
            return self.generate(1, **given).logits[0][0]
        return self.generate(1, **self.prefix(so_far)).logits[0][0]

    @cached_property
    def _is_plain(self) -> bool:
        """Whether `generate`, from the decoder's start, computes what plain calls do. (Given more
        than the start, FSMT's reads the last token of it only.)"""
        found = self.generate(3)
        first = found.sequences[0, 1:2].tolist()
        if len(found.logits) < 2:
            return True
        plain, own = self.plain_logits(first), found.logits[1][0]
        return torch.allclose(plain, own, atol=1e-4 * float(own.abs().max()), rtol=0)

    def prefix(self, so_far: Ids) -> dict[str, Tensor]:
        """The prompt and what was written after it."""
        ids = torch.cat([self.inputs["input_ids"], torch.tensor([so_far]).long()], dim=1)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def plain_logits(self, so_far: Ids) -> Tensor:
        """The next token's logits by a plain call on the ids, `(vocabulary,)`."""
        with torch.no_grad():
            return self.model(**self._plain(so_far)).logits[0, -1]

    def forward(self, so_far: Ids, token: int) -> Forward | None:
        """The call that predicts a token: the plain one, or the one that `generate` makes; None
        if neither, run again, gives what `generate` computes."""
        own = self.next_logits(so_far)
        plain = self._plain(so_far)
        if self.both:
            start = [self.start, *so_far]
            sequences = {"source": self.inputs["input_ids"][0].tolist(), "generated": start}
        else:
            sequences = {"text": plain["input_ids"][0].tolist()}
        for inputs in (plain, self._made_by_generate(so_far)):
            with torch.no_grad():
                logits = self.model(**inputs).logits[0, -1]
            if torch.allclose(logits, own, atol=1e-4 * float(own.abs().max()), rtol=0):
                return Forward(inputs, lambda outputs: outputs.logits[0, -1, token], sequences)
        return None

    def _plain(self, so_far: Ids) -> dict[str, Any]:
        if self.both:
            ids = torch.tensor([[self.start, *so_far]])
            inputs = {**self.inputs, "decoder_input_ids": ids}
        else:
            inputs = accepted(self.model, self.prefix(so_far))
        takes = "use_cache" in inspect.signature(self.model.forward).parameters
        # States that a call leaves for the next one may be written in place.
        return {**inputs, "use_cache": False} if takes else inputs

    def _made_by_generate(self, so_far: Ids) -> dict[str, Any]:
        """The arguments of the call that `generate` makes, without the cache."""
        calls: list[dict[str, Any]] = []

        def note(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
            calls.append({**kwargs, **({"input_ids": args[0]} if args else {})})

        handle = self.model.register_forward_pre_hook(note, with_kwargs=True)
        try:
            self.next_logits(so_far)
        finally:
            handle.remove()
        without = ("past_key_values", "cache_params", "cache_position", "state", "return_dict")
        made = {name: value for name, value in calls[-1].items() if name not in without}
        return {**made, **({"use_cache": False} if "use_cache" in made else {})}
