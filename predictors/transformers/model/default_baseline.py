"""The baseline that suits a model: zero, unless the model has no value there."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from allennlp.data.tokenizers import Token
from torch import Tensor, nn

from allennlp_saliency.interpret.methods.path.first_norm import FirstNorm, normalises_first
from allennlp_saliency.interpret.model.embedding_layers import input_embeddings

from ..texts.hf_tokenizer import Pieces
from .model import token_embeddings

_PROBE = "Which baseline suits this model?"


def default_baseline(transformer: nn.Module, tokenizer: Pieces) -> str:
    """The name "zero", or where the model normalises right after its embedding "mean".

    Found by running the model's body on a short text and on zero vectors in the place of its words.
    Where that cannot be done (the body takes more than ids) it is "zero", and where the embeddings
    are no matrix, which has no mean, "pad" if there is such a token.

    Args:
        transformer: A Hugging Face model that may be hooked: a private copy.
        tokenizer: Its tokenizer.
    """
    layer = input_embeddings(transformer)
    body = getattr(transformer, "base_model", transformer)
    try:
        device = next(transformer.parameters()).device
        tokens = tokenizer.text(_PROBE)
        # Special tokens keep their vectors at a baseline, too.
        words = torch.tensor([token.idx is not None for token in tokens], device=device)
        inputs = _probe(tokens, body, device)
        at_text = _watched(body, inputs)
        hooks = [
            one.register_forward_hook(_zero_at(words)) for one in token_embeddings(transformer)
        ]
        try:
            at_zero = _watched(body, inputs)
        finally:
            for hook in hooks:
                hook.remove()
    except Exception:
        # Whatever a body's own code makes of a probe that is no input of its task's. Nothing is
        # hidden: methods say so where gradients at the baseline overflow.
        return "zero"
    if not normalises_first(at_zero, at_text):
        return "zero"
    weight = getattr(layer, "weight", None)
    if isinstance(weight, Tensor) and weight.dim() == 2 and weight.is_floating_point():
        return "mean"
    return "zero" if getattr(tokenizer.tokenizer, "pad_token_id", None) is None else "pad"


def _watched(body: nn.Module, inputs: dict[str, Any]) -> FirstNorm:
    watch = FirstNorm()
    with torch.no_grad(), watch:
        body(**inputs)
    return watch


def _probe(tokens: Sequence[Token], body: nn.Module, device: torch.device) -> dict[str, Any]:
    """The arguments of a body for a text."""
    takes = inspect.signature(body.forward).parameters
    ids = torch.tensor([[token.text_id for token in tokens]], device=device)
    inputs: dict[str, Any] = {"input_ids": ids}
    if "attention_mask" in takes:
        inputs["attention_mask"] = torch.ones_like(ids)
    if "decoder_input_ids" in takes and getattr(body.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = ids[:, :1]
    if "use_cache" in takes:
        inputs["use_cache"] = False
    return inputs


def _zero_at(words: Tensor) -> Any:
    def zero(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        if output.shape[-2] != len(words):
            return output
        return output.masked_fill(words.unsqueeze(-1), 0)

    return zero
