"""The default baseline of a model: zero, unless the model has no value there."""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from allennlp_saliency.interpret.methods.path.zero_point import FirstNorm, normalises_first
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
    body = getattr(transformer, "base_model", transformer)
    try:
        device = next(transformer.parameters()).device
        tokens = tokenizer.text(_PROBE)
        # Special tokens keep their vectors at a baseline, too.
        words = torch.tensor([token.idx is not None for token in tokens], device=device)

        def zero(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            at_words = output.shape[-2] == len(words)
            return output.masked_fill(words.unsqueeze(-1), 0) if at_words else output

        inputs = _probe(torch.tensor([[token.text_id for token in tokens]], device=device), body)
        at_text, at_zero = FirstNorm(), FirstNorm()
        with torch.no_grad(), at_text:
            body(**inputs)
        with ExitStack() as hooks, torch.no_grad(), at_zero:
            for one in token_embeddings(transformer):
                hooks.enter_context(one.register_forward_hook(zero))
            body(**inputs)
    except Exception:
        # Whatever a body's own code makes of a probe that is no input of its task's. Nothing is
        # hidden: methods say so where gradients at the baseline overflow.
        return "zero"
    if not normalises_first(at_zero, at_text):
        return "zero"
    weight = getattr(input_embeddings(transformer), "weight", None)
    if isinstance(weight, Tensor) and weight.dim() == 2 and weight.is_floating_point():
        return "mean"
    return "zero" if getattr(tokenizer.tokenizer, "pad_token_id", None) is None else "pad"


def _probe(ids: Tensor, body: nn.Module) -> dict[str, Any]:
    """The arguments of a body for a text, `(1, positions)`."""
    takes = inspect.signature(body.forward).parameters
    inputs: dict[str, Any] = {"input_ids": ids}
    if "attention_mask" in takes:
        inputs["attention_mask"] = torch.ones_like(ids)
    if "decoder_input_ids" in takes and getattr(body.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = ids[:, :1]
    if "use_cache" in takes:
        inputs["use_cache"] = False
    return inputs
