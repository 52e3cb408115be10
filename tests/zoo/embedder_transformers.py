"""Transformers that tests embed texts with, and where their words are."""

from __future__ import annotations

from typing import Any

from allennlp.data.token_indexers import (
    PretrainedTransformerIndexer,
    PretrainedTransformerMismatchedIndexer,
)
from allennlp.data.tokenizers import PretrainedTransformerTokenizer
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import (
    PretrainedTransformerEmbedder,
    PretrainedTransformerMismatchedEmbedder,
)
from allennlp.predictors import Predictor
from torch import nn

from tests.zoo.transformers import Architecture, spread
from tests.zoo.unusual_models import Awkward, predictor_of, vocabulary

OTHERS = {
    "t5": Architecture(
        "t5",
        "wordpiece",
        {
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 32,
            "num_layers": 2,
            "num_heads": 2,
            "num_decoder_layers": 1,
        },
    ),
    "deberta-v2": Architecture(
        "deberta-v2",
        "wordpiece",
        {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": True,
        },
    ),
    "funnel": Architecture(
        "funnel",
        "wordpiece",
        {"block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32},
    ),
}


def transformer(
    folder: str, mismatched: bool, max_length: int | None = None, **options: Any
) -> Predictor:
    """A predictor over a transformer; the transformer keeps the weights of its folder."""
    common: dict[str, Any] = {"model_name": folder, "max_length": max_length}
    if mismatched:
        indexer: Any = PretrainedTransformerMismatchedIndexer(**common)
        embedder: Any = PretrainedTransformerMismatchedEmbedder(**common, **options)
        tokenizer = None
    else:
        indexer = PretrainedTransformerIndexer(**common)
        embedder = PretrainedTransformerEmbedder(**common, **options)
        tokenizer = PretrainedTransformerTokenizer(folder)
    model = Awkward(vocabulary(), BasicTextFieldEmbedder({"tokens": embedder}))
    for number, part in enumerate((model.inner, model.head)):
        spread(part, number)
    return predictor_of(model, {"tokens": indexer}, tokenizer, seed=None)


def first_layer(predictor: Predictor, key: str = "tokens") -> nn.Module:
    """The table of word embeddings, found by what is called with indices: no model is asked."""
    embedder = predictor._model.text_field_embedder._token_embedders[key]
    part = getattr(embedder, "_matched_embedder", embedder).transformer_model
    tables = [
        module
        for name, module in part.named_modules()
        if isinstance(module, nn.Embedding)
        and ("word" in name or name in ("wte", "embed_tokens") or "embed_tokens" in name)
    ]
    return tables[0]
