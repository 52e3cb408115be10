"""The Hugging Face tokenizer behind a token indexer."""

from __future__ import annotations

from typing import Any

from allennlp.data import TokenIndexer


def tokenizer_of(indexer: TokenIndexer | None) -> Any:
    """The Hugging Face tokenizer of a token indexer; None for indexers that have none."""
    return getattr(indexer, "_tokenizer", None)
