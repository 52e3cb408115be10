"""A tokenizer of whole words with any template, and models whose outputs are not flat."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.zoo.architectures.reference import recorded_embeddings
from tests.zoo.transformers import SMALL_BART, spread

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>")
WORDS = (
    *SPECIAL,
    *"the cast was not good . where does mary live ? in paris and john lives bad film".split(),
)
PAD, CLS, SEP, MASK, BOS, EOS = 0, 2, 3, 4, 5, 6
ENCODER = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": PAD,
}
BOTH = {
    "vocab_size": len(WORDS),
    **SMALL_BART,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "decoder_start_token_id": EOS,
    "forced_eos_token_id": None,
}
T5 = {
    "vocab_size": len(WORDS),
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 2,
    "pad_token_id": PAD,
    "eos_token_id": EOS,
    "decoder_start_token_id": PAD,
}


def words_tokenizer(single: str, pair: str, types: bool = False, **more: Any) -> Any:
    """A fast tokenizer.

    Args:
        single: The template of one text, `"[CLS] $A [SEP]"`.
        pair: That of two.
        types: Whether it makes `token_type_ids`.
        more: What else it takes.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {word: number for number, word in enumerate(WORDS)}
    made = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(word, ids[word]) for word in SPECIAL]
    )
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_input_names=names,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        bos_token="<s>",
        eos_token="</s>",
        **more,
    )


def bert_like(types: bool = True) -> Any:
    """A tokenizer with BERT's template."""
    types_of_pair = "[CLS] $A [SEP] $B:1 [SEP]:1" if types else "[CLS] $A [SEP] $B [SEP]"
    return words_tokenizer("[CLS] $A [SEP]", types_of_pair, types)


def llama_like() -> Any:
    """A tokenizer that puts `<s>` first."""
    return words_tokenizer("<s> $A", "<s> $A $B")


def bart_like() -> Any:
    """A tokenizer that puts `</s>` last."""
    return words_tokenizer("$A </s>", "$A </s> $B </s>")


def ready(model: Any, seed: int = 0) -> Any:
    """A model with weights that make a difference, in evaluation mode."""
    spread(model, seed)
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    return model.eval()


def by_hand(model: Any, inputs: Any, label: int) -> tuple[float, float, list[list[float]]]:
    """A label's logit by the model's own forward, and input times gradient by autograd.

    Returns:
        The logit, the largest sum of a token's products without regard to sign (what rounding
        goes by), and per call of an embedding layer one score a position.
    """
    with recorded_embeddings(model) as calls:
        value = model(**inputs).logits[0, label]
        leaves = [leaf for _, leaf in calls]
        gradients = torch.autograd.grad(value, leaves, allow_unused=True)
    products: list[Tensor] = [
        torch.zeros_like(leaf) if gradient is None else leaf.detach() * gradient
        for leaf, gradient in zip(leaves, gradients, strict=True)
    ]
    size = max(float(one.abs().sum(-1).max()) for one in products)
    return float(value.detach()), size, [one.sum(-1).flatten().tolist() for one in products]
