"""Small models of every architecture, with random weights that make a difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from allennlp_saliency.predictors.transformers.loading import auto_class
from tests.zoo.transformers import spread

from .overrides import NO_TEXT_ALONE, OVERRIDES, START
from .sizes import small
from .tables import Pair
from .tokenizers import RESERVED, tokenizer_of

# Without a tag for what is no entity every word is explained.
TAGS = ("noun", "verb", "name", "place", "other")
LABELS = ("negative", "neutral", "positive")
_LABELS = {"token-classification": TAGS, "question-answering": ("start", "end")}


class CannotBeBuiltError(RuntimeError):
    """A model of an architecture cannot be built, or not be run on text; the message says why."""


@dataclass(frozen=True)
class Built:
    """A model and the tokenizer that goes with it."""

    model: Any
    tokenizer: Any


def build(pair: Pair, seed: int = 0) -> Built:
    """A small model of an architecture for a task.

    Args:
        pair: Which.
        seed: Seed of the weights.

    Raises:
        CannotBeBuiltError: If that is not possible here.
    """
    for name in (pair.architecture, pair.name):
        if name in NO_TEXT_ALONE:
            raise CannotBeBuiltError(NO_TEXT_ALONE[name])
    tokenizer = tokenizer_of(pair.architecture)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto_class(pair.task).from_config(config_of(pair, tokenizer))
    model = model.float()
    spread(model, seed)
    model.tie_weights()
    _silence_reserved(model, len(tokenizer))
    return Built(model.eval(), tokenizer)


def config_of(pair: Pair, tokenizer: Any) -> Any:
    """The small config of an architecture."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    config_class = CONFIG_MAPPING[pair.architecture]
    special = {
        f"{part}_token_id": number
        for part in ("pad", "bos", "eos", "cls", "sep", "mask")
        if (number := getattr(tokenizer, f"{part}_token_id")) is not None
    }
    labels = _LABELS.get(pair.task, LABELS)
    given: dict[str, Any] = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
        **OVERRIDES.get(pair.architecture, {}),
        **OVERRIDES.get(pair.name, {}),
    }
    if pair.task == "causal-lm" and "is_decoder" not in given:
        given |= _as_decoder(config_class)
    given = _by_tokens(given, tokenizer)
    config = small(config_class, max(len(tokenizer), 64), special, given)
    if getattr(config, "is_encoder_decoder", False):
        start = START.get(pair.architecture)
        if start is not None:
            config.decoder_start_token_id = tokenizer.convert_tokens_to_ids(start)
        if getattr(config, "decoder_start_token_id", None) is None:
            config.decoder_start_token_id = special.get("pad_token_id", 0)
        decoder = getattr(config, "decoder", None)
        if hasattr(decoder, "is_decoder"):
            # As `from_encoder_decoder_configs` makes it.
            decoder.is_decoder = decoder.add_cross_attention = True
    return config


def _as_decoder(config_class: Any) -> dict[str, Any]:
    """What an encoder needs to write from left to right."""
    config = config_class()
    if getattr(config, "is_encoder_decoder", False) or not hasattr(config, "is_decoder"):
        return {}
    return {"is_decoder": True}


def _by_tokens(given: Mapping[str, Any], tokenizer: Any) -> dict[str, Any]:
    """`"token:<s>"` as the token's id."""
    return {
        key: tokenizer.convert_tokens_to_ids(value[6:])
        if isinstance(value, str) and value.startswith("token:")
        else value
        for key, value in given.items()
    }


def _silence_reserved(model: nn.Module, vocabulary: int) -> None:
    """Makes models write no token that stands for an image or a sound: its logit is zero, which
    is never the highest."""
    head: Any = getattr(model, "get_output_embeddings", lambda: None)()
    weight = getattr(head, "weight", None)
    if weight is None or weight.dim() != 2 or weight.shape[0] < vocabulary:
        return
    with torch.no_grad():
        weight[vocabulary - RESERVED :] = 0.0
        if getattr(head, "bias", None) is not None:
            head.bias[vocabulary - RESERVED :] = 0.0
