"""The reader of SRL-BERT: the word pieces of one word, and their ids."""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from typing import Any

from ..registry import after


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


@after(
    "allennlp_models.structured_prediction.dataset_readers.srl",
    why="BertTokenizer of transformers 5 has no wordpiece_tokenizer, and its vocab is slow",
)
def srl_word_pieces(module: Any) -> bool:
    """Give the reader's own tokenizer both, where it lacks them."""
    if hasattr(import_module(module.BertTokenizer.__module__), "WordpieceTokenizer"):
        return False
    reader = module.SrlReader
    original = reader.__init__

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.bert_tokenizer is not None:
            self.bert_tokenizer.wordpiece_tokenizer = WordPieces(self.bert_tokenizer)
            self.bert_tokenizer.get_vocab = HeldVocabulary(self.bert_tokenizer)

    reader.__init__ = __init__
    return True
