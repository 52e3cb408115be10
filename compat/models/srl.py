"""The reader of SRL-BERT: the word pieces of one word, and their ids."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..registry import patch


class WordPieces:
    """A tokenizer's word pieces, without its rules for case, accents and punctuation.

    Args:
        tokenizer: a Hugging Face tokenizer whose backend's model is WordPiece.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def tokenize(self, text: str) -> list[str]:
        """The longest pieces from the left of each word between white space."""
        model = self.tokenizer.backend_tokenizer.model
        return [piece.value for word in text.split() for piece in model.tokenize(word)]


class HeldVocabulary:
    """A tokenizer's `get_vocab` that asks the backend only when the vocabulary has grown.

    Each call of the backend copies the whole vocabulary, and the reader makes one a word piece.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.backend = tokenizer.backend_tokenizer
        self.held: dict[str, int] = {}

    def __call__(self) -> dict[str, int]:
        """Every token and its id."""
        if len(self.held) != self.backend.get_vocab_size(with_added_tokens=True):
            self.held = self.backend.get_vocab(with_added_tokens=True)
        return self.held


def _no_word_pieces(module: Any) -> bool:
    return not hasattr(import_module(module.BertTokenizer.__module__), "WordpieceTokenizer")


@patch(
    "allennlp_models.structured_prediction.dataset_readers.srl",
    "SrlReader.__init__",
    why="BertTokenizer of transformers 5 has no wordpiece_tokenizer, and its vocab is slow",
    needed=_no_word_pieces,
)
def srl_word_pieces(original: Callable[..., None], reader: Any, *args: Any, **kwargs: Any) -> None:
    """Give the reader's own tokenizer both, where it lacks them."""
    original(reader, *args, **kwargs)
    if reader.bert_tokenizer is not None:
        reader.bert_tokenizer.wordpiece_tokenizer = WordPieces(reader.bert_tokenizer)
        reader.bert_tokenizer.get_vocab = HeldVocabulary(reader.bert_tokenizer)
