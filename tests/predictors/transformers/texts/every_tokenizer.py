"""Tokenizers of every kind with small models for every task."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import TEXTS, model, tokenizer

# Per kind of tokenizer an architecture that has one like it.
KINDS = {
    "wordpiece": "bert",
    "bytes": "roberta",
    "bare-bytes": "gpt2",
    "pieces": "albert",
    "pieces-bos": "llama",
    "pieces-eos": "t5",
    "fallback": "llama",
}


@cache
def tokenizer_of(kind: str) -> Any:
    return _fallback() if kind == "fallback" else tokenizer(kind)


def _fallback() -> Any:
    """A tokenizer as Llama 2's: letters and merges, and bytes for characters that it lacks; spaces
    become ▁ before it looks at the text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(
        {c for text in TEXTS for c in text.replace(" ", "▁") if c.isascii() or c == "▁"}
    )
    merges = [("▁", "g"), ("▁g", "r"), ("▁gr", "e"), ("▁gre", "a"), ("▁grea", "t"), ("▁", "a")]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256))]
    pieces += [*letters, *map("".join, merges)]
    made = Tokenizer(
        models.BPE(
            {piece: number for number, piece in enumerate(dict.fromkeys(pieces))},
            merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


@cache
def made(kind: str, task: str) -> Any:
    own = tokenizer_of(kind)
    with torch.random.fork_rng():
        network = model(KINDS[kind], task, vocab_size=len(own))
    if task == "token-classification":
        # Without a tag for what is no entity every word is explained.
        network.config.id2label = dict(enumerate(("NOUN", "VERB", "DET", "ADP", "PUNCT")))
    return TransformersPredictor.from_pretrained(network, own)


def explain(predictor: Any, given: Any, method: str = "input-x-gradient", **more: Any) -> Any:
    interpreter: Any = SaliencyInterpreter.by_name(method)(predictor, **more)
    return interpreter.interpret_json(given)


def typed(kind: str) -> str:
    """A text with every special token of a tokenizer in it."""
    own = tokenizer_of(kind)
    return "a " + " film ".join(dict.fromkeys(own.all_special_tokens)) + " great"
