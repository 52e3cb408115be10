"""Models that put tokens of their own behind a text before they predict (XLNet, XLM)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError

from ..texts.token_sequence import TokenSequence


def adds_tokens(transformer: nn.Module) -> bool:
    """Whether a model puts tokens of its own behind a text before it predicts."""
    from transformers import GenerationMixin

    usual = GenerationMixin.prepare_inputs_for_generation
    own = getattr(type(transformer), "prepare_inputs_for_generation", usual)
    if own is usual:
        return False
    weight = next(transformer.parameters(), torch.empty(0))
    ids = torch.zeros(1, 2, dtype=torch.long, device=weight.device)
    given = _prepared(transformer, ids).get("input_ids")
    return isinstance(given, Tensor) and given.shape[1] > ids.shape[1]


def with_added_tokens(transformer: nn.Module, sequence: TokenSequence) -> TokenSequence:
    """A sequence with the tokens that a model puts behind it.

    Args:
        transformer: A model that adds tokens.
        sequence: `(rows, positions)`.

    Raises:
        InterpretationError: If rows are padded: the model would put its tokens behind that.
    """
    if sequence.padded:
        raise InterpretationError(
            f"{type(transformer).__name__} puts tokens of its own behind a text, so texts of "
            "different lengths cannot share a batch; give them one by one"
        )
    ids = _prepared(transformer, sequence.ids)["input_ids"]
    return sequence.followed_by(ids[:, sequence.ids.shape[1] :])


def added_inputs(transformer: nn.Module, sequence: TokenSequence) -> dict[str, Any]:
    """The other arguments of such a model, for a sequence without its own tokens."""
    given = _prepared(transformer, sequence.ids)
    return {name: given[name] for name in given if name not in ("input_ids", "attention_mask")}


def _prepared(transformer: Any, ids: Tensor) -> dict[str, Any]:
    given = transformer.prepare_inputs_for_generation(ids, attention_mask=torch.ones_like(ids))
    return {name: value for name, value in given.items() if value is not None}
