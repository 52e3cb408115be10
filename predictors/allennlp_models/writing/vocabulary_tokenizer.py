"""A namespace of a vocabulary, in the form of a tokenizer."""

from __future__ import annotations

from typing import Any

from allennlp.common.util import END_SYMBOL, START_SYMBOL
from allennlp.data import Vocabulary


class VocabularyTokenizer:
    """The words that a decoder writes, for what asks a Hugging Face tokenizer: token indexers and
    baselines.

    Args:
        vocab: The vocabulary.
        namespace: The namespace that has the decoder's words.
    """

    def __init__(self, vocab: Vocabulary, namespace: str) -> None:
        self._vocab = vocab
        self._namespace = namespace

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        """The ids of a text's words, which stand between spaces, as `input_ids`."""
        words = text.split()
        return {"input_ids": [self._vocab.get_token_index(w, self._namespace) for w in words]}

    def get_vocab(self) -> dict[str, int]:
        """The ids of all words."""
        return self._vocab.get_token_to_index_vocabulary(self._namespace)

    def convert_ids_to_tokens(self, number: int) -> str:
        """The word of an id."""
        return self._vocab.get_token_from_index(number, self._namespace)

    @property
    def bos_token_id(self) -> int | None:
        """The id that a text begins with."""
        return self.get_vocab().get(START_SYMBOL)

    @property
    def eos_token_id(self) -> int | None:
        """The id that ends a text."""
        return self.get_vocab().get(END_SYMBOL)

    @property
    def pad_token_id(self) -> int | None:
        """The id that fills up a text."""
        return self.get_vocab().get(self._vocab._padding_token)

    @property
    def unk_token_id(self) -> int | None:
        """The id of unknown words."""
        return self.get_vocab().get(self._vocab._oov_token)
