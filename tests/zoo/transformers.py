"""Transformers small enough to build in a moment: a folder each, with weights and a tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase, digits, punctuation
from typing import Any, Literal

import torch
from torch import nn

from .words import WORDS

_BERT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 128,
}

SMALL_BART = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 128,
}


@dataclass(frozen=True)
class Architecture:
    """A kind of transformer.

    Attributes:
        model_type: Its name in transformers.
        tokenizer: "wordpiece" as BERT's (with `[CLS]` and `[SEP]`), "bytes" as RoBERTa's (with
            `<s>` and `</s>`), "started-bytes" (with `<s>` alone), "ended-bytes" (with `</s>`
            alone), or "bare-bytes" as GPT-2's (nothing added).
        config: What its config takes besides the vocabulary.
        summary: Which position AllenNLP's `cls_pooler` takes for the text: "first" or "last".
        sub_module: The part of it that embeds texts, None for the whole.
    """

    model_type: str
    tokenizer: Literal["wordpiece", "bytes", "started-bytes", "ended-bytes", "bare-bytes"]
    config: Mapping[str, Any] = field(default_factory=dict)
    summary: Literal["first", "last"] = "first"
    sub_module: str | None = None


_DECODER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 128,
}


ARCHITECTURES = {
    "bert": Architecture("bert", "wordpiece", _BERT),
    "roberta": Architecture("roberta", "bytes", _BERT),
    "distilbert": Architecture(
        "distilbert",
        "wordpiece",
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 128},
    ),
    "electra": Architecture("electra", "wordpiece", {**_BERT, "embedding_size": 8}),
    "albert": Architecture("albert", "wordpiece", {**_BERT, "embedding_size": 8}),
    "gpt2": Architecture(
        "gpt2", "bare-bytes", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 128}, "last"
    ),
    "xlnet": Architecture(
        "xlnet", "wordpiece", {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32}
    ),
    "t5": Architecture(
        "t5",
        "ended-bytes",
        {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
        "last",
        sub_module="encoder",
    ),
    "llama": Architecture("llama", "started-bytes", _DECODER, "last"),
    "qwen2": Architecture("qwen2", "bare-bytes", {**_DECODER, "layer_types": None}, "last"),
    "gemma": Architecture("gemma", "started-bytes", _DECODER, "last"),
    "modernbert": Architecture(
        "modernbert", "wordpiece", {**_BERT, "num_hidden_layers": 3, "local_attention": 8}
    ),
    "deberta-v2": Architecture(
        "deberta-v2",
        "wordpiece",
        {**_BERT, "relative_attention": True, "pos_att_type": "p2c|c2p", "type_vocab_size": 0},
    ),
}


def write_transformer(folder: Path, architecture: Architecture, seed: int = 0) -> Path:
    """Writes a transformer with random weights, and its tokenizer.

    Args:
        folder: Where to.
        architecture: What kind.
        seed: Seed of the weights.
    """
    from transformers import AutoConfig, AutoModel

    tokenizer = _tokenizer(architecture)
    special = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id")
        for name in ("pad", "bos", "eos", "cls", "sep")
        if getattr(tokenizer, f"{name}_token_id") is not None
    }
    config = AutoConfig.for_model(
        architecture.model_type,
        **{"vocab_size": len(tokenizer), **special, **architecture.config},
    )
    model = AutoModel.from_config(config)
    spread(model, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def spread(module: nn.Module, seed: int, scale: float = 1.0) -> None:
    """Gives parameters random values that make a difference.

    The usual small weights leave all outputs nearly alike, and then a wrong gradient looks as
    small as a right one.

    Args:
        module: Whose parameters to set.
        seed: Seed of the values.
        scale: Standard deviation of the values of a matrix, times the square root of its columns.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(noise * (scale * parameter.shape[-1] ** -0.5))
            else:
                parameter.copy_(noise * 0.1 * scale + (1.0 if _is_norm(name) else 0.0))


def _is_norm(name: str) -> bool:
    norms = ("norm", "ln_")
    return name.endswith("weight") and any(norm in name.lower() for norm in norms)


def _tokenizer(architecture: Architecture) -> Any:
    from transformers import PreTrainedTokenizerFast

    if architecture.tokenizer == "wordpiece":
        names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
        made = _wordpieces(list(names.values()))
    elif architecture.tokenizer == "bytes":
        names = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
        names |= {"cls": "<s>", "sep": "</s>"}
        made = _bytes(list(dict.fromkeys(names.values())), "<s>", "</s>")
    elif architecture.tokenizer in ("started-bytes", "ended-bytes"):
        names = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>"}
        added = ("<s>", "") if architecture.tokenizer == "started-bytes" else ("", "</s>")
        made = _bytes(list(names.values()), *added)
    else:
        names = dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>")
        made = _bytes(["<|endoftext|>"])
    # transformers 4 sets it to False in the tokenizer unless told.
    prefix = {"add_prefix_space": True} if "bytes" in architecture.tokenizer else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=made, **prefix, **{f"{name}_token": names[name] for name in names}
    )


def _wordpieces(special: list[str]) -> Any:
    """BERT's kind of tokenizer: the zoo's words whole, other words letter by letter."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordPiece

    characters = [*ascii_lowercase, *digits, *punctuation]
    tails = [f"##{tail}" for tail in (*ascii_lowercase, *digits, "ly", "able", "ers")]
    pieces = [*special, *dict.fromkeys([*characters, *tails, *WORDS])]
    ids = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(special)
    return tokenizer


def _bytes(special: list[str], start: str = "", end: str = "") -> Any:
    """RoBERTa's and GPT-2's kind of tokenizer: merges that make the zoo's words, and bytes."""
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import BPE

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: dict[tuple[str, str], None] = {}
    for word in WORDS:
        whole = "Ġ"
        for letter in word:
            merges[whole, letter] = None
            whole += letter
    pieces = [*special, *letters, *dict.fromkeys(left + right for left, right in merges)]
    ids = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(BPE(ids, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    if start or end:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start} $A {end}".split(),
            pair=f"{start} $A {end} {end} $B {end}".split(),
            special_tokens=[(token, ids[token]) for token in (start, end) if token],
        )
    tokenizer.add_special_tokens(special)
    return tokenizer
