"""The names of what a Hugging Face model predicts, as an AllenNLP vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from allennlp.data import Vocabulary

NAMESPACE = "labels"


class LabelVocabulary(Vocabulary):
    """A vocabulary with one namespace, `labels`, that is looked up and not copied.

    Args:
        names: Name of each label.
        indices: Index of each name; None to turn `names` around.
    """

    def __init__(self, names: Mapping[int, str], indices: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self._label_names = names
        self._label_indices = (
            {name: index for index, name in names.items()} if indices is None else indices
        )

    @classmethod
    def of_tokens(cls, tokenizer: Any) -> LabelVocabulary:
        """The tokens of a tokenizer as labels: there are too many of them to copy."""
        return cls(_TokenNames(tokenizer), _TokenIndices(tokenizer))

    def get_namespaces(self) -> set[str]:
        """The names of all namespaces."""
        return {*super().get_namespaces(), NAMESPACE}

    def get_index_to_token_vocabulary(self, namespace: str = "tokens") -> Any:
        """Names by index."""
        if namespace == NAMESPACE:
            return self._label_names
        return super().get_index_to_token_vocabulary(namespace)

    def get_token_to_index_vocabulary(self, namespace: str = "tokens") -> Any:
        """Indices by name."""
        if namespace == NAMESPACE:
            return self._label_indices
        return super().get_token_to_index_vocabulary(namespace)

    def get_token_index(self, token: str, namespace: str = "tokens") -> int:
        """The index of a name."""
        if namespace == NAMESPACE:
            return self._label_indices[token]
        return super().get_token_index(token, namespace)

    def get_token_from_index(self, index: int, namespace: str = "tokens") -> str:
        """The name of an index."""
        if namespace == NAMESPACE:
            return self._label_names[index]
        return super().get_token_from_index(index, namespace)

    def get_vocab_size(self, namespace: str = "tokens") -> int:
        """How many names there are."""
        if namespace == NAMESPACE:
            return len(self._label_names)
        return super().get_vocab_size(namespace)


class _TokenNames(Mapping[int, str]):
    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __getitem__(self, index: int) -> str:
        token = self._tokenizer.convert_ids_to_tokens(index)
        if token is None:
            raise KeyError(index)
        return token

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return len(self._tokenizer)


class _TokenIndices(Mapping[str, int]):
    """Tokens as they stand in the tokenizer's vocabulary, or texts that are one token."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def _known(self) -> dict[str, int]:
        return self._tokenizer.get_vocab()

    def __getitem__(self, token: str) -> int:
        if token in self._known:
            return self._known[token]
        ids = self._tokenizer(token, add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) != 1 or ids[0] == self._tokenizer.unk_token_id:
            raise KeyError(token)
        return ids[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._tokenizer)
