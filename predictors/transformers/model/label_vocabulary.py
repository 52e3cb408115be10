"""The names of a Hugging Face model's labels, as an AllenNLP vocabulary."""

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
        if indices is None:
            indices = {name: index for index, name in names.items()}
        self._index_to_token[NAMESPACE] = names
        self._token_to_index[NAMESPACE] = indices

    def save_to_files(self, directory: str) -> None:
        """Writes the vocabulary without its labels: these are the model's or the tokenizer's own,
        which may have numbers without a name."""
        own = Vocabulary()
        for namespace in self._index_to_token.keys() - {NAMESPACE}:
            own._index_to_token[namespace] = self._index_to_token[namespace]
        own.save_to_files(directory)

    @classmethod
    def of_tokens(cls, tokenizer: Any) -> LabelVocabulary:
        """The tokens of a tokenizer as labels: there are too many of them to copy."""
        return cls(_TokenNames(tokenizer), _TokenIndices(tokenizer))


def unique_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names by which labels can be told apart: of labels with the same name all but the first have
    their number behind it, `"X (2)"`."""
    found: dict[str, int] = {}
    for number, name in sorted(names.items()):
        given = name
        while given in found:
            given = f"{given} ({number})"
        found[given] = number
    return {number: name for name, number in found.items()}


class _OfTokenizer:
    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self._tokenizer)


class _TokenNames(_OfTokenizer, Mapping[int, str]):
    def __getitem__(self, index: int) -> str:
        token = self._tokenizer.convert_ids_to_tokens(index)
        if token is None:
            raise KeyError(index)
        return token

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))


class _TokenIndices(_OfTokenizer, Mapping[str, int]):
    """Tokens as they stand in the tokenizer's vocabulary, or texts that are one token."""

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
