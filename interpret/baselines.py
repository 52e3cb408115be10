"""The reference input, which a method takes to say nothing.

A baseline is a point of the embedding space: the embeddings of an instance, with something else
in the place of its words. Padding stays what it is, and so do special tokens unless asked.
"""

from __future__ import annotations

from typing import Any

import torch
from allennlp.common import Registrable
from allennlp.data import TokenIndexer, Vocabulary
from torch import Tensor

from .embedding_space import EmbeddingSpace
from .errors import InterpretationError
from .interventions import EmbeddingCall


class Baseline(Registrable):
    """What stands in the place of a word.

    Args:
        keep_special_tokens: Whether tokens that a tokenizer adds to every text (`[CLS]`,
            `[SEP]`, `@start@`) stay as they are: they are not the text's, and nothing of the
            prediction is put down to them.
    """

    default_implementation = "zero"

    def __init__(self, keep_special_tokens: bool = True) -> None:
        self.keep_special_tokens = keep_special_tokens

    def __call__(self, space: EmbeddingSpace) -> Tensor:
        """The baseline of each instance, `(instances, size)`.

        Args:
            space: The instances and their embeddings.

        Raises:
            InterpretationError: If an embedding layer has no such vector.
        """
        return space.replaced(self.replaceable(space), self.vectors)

    def replaceable(self, space: EmbeddingSpace) -> Tensor:
        """The positions that the baseline says something about, `(instances, positions)`."""
        present = space.layout.present
        return present & ~space.layout.special if self.keep_special_tokens else present

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        """What stands in the place of the words of one call of an embedding layer.

        Args:
            space: The instances and their embeddings.
            call: The call.
            part: The instances' own embeddings, `(instances, positions, dim)`.

        Returns:
            Anything that broadcasts to `part`.
        """
        raise NotImplementedError


@Baseline.register("zero")
class ZeroBaseline(Baseline):
    """The zero vector (Sundararajan et al. 2017, section 3)."""

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        return torch.zeros_like(part)


@Baseline.register("mean")
class MeanBaseline(Baseline):
    """The mean of the layer's embedding matrix: a word about which nothing is known."""

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        weight = getattr(call.layer.module, "weight", None)
        if not isinstance(weight, Tensor) or weight.dim() != 2 or weight.shape[1] != part.shape[2]:
            raise _no_vector("mean embedding", call)
        return weight.mean(0).to(part)


@Baseline.register("token")
class TokenBaseline(Baseline):
    """The embedding of one token.

    Args:
        token: The token, as it stands in the tokenizer's or the model's vocabulary.
        keep_special_tokens: As in `Baseline`.
    """

    def __init__(self, token: str, keep_special_tokens: bool = True) -> None:
        super().__init__(keep_special_tokens)
        self.token = token

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        indexer = space.indexer(call)
        index = self.index(indexer, space.vocab)
        if index is None:
            raise _no_vector(self._what(), call)
        return space.embed(call, index).to(part)

    def index(self, indexer: TokenIndexer | None, vocab: Vocabulary) -> int | None:
        """The token's index for an indexer, None if it has none."""
        tokenizer = getattr(indexer, "_tokenizer", None)
        if tokenizer is not None:
            return tokenizer.get_vocab().get(self.token)
        return _vocabulary(indexer, vocab).get(self.token)

    def _what(self) -> str:
        return f"embedding of the token {self.token!r}"


class _NamedTokenBaseline(TokenBaseline):
    """The embedding of a token that every tokenizer has under a name of its own."""

    name: str

    def __init__(self, keep_special_tokens: bool = True) -> None:
        super().__init__(self.name, keep_special_tokens)

    def index(self, indexer: TokenIndexer | None, vocab: Vocabulary) -> int | None:
        tokenizer = getattr(indexer, "_tokenizer", None)
        if tokenizer is not None:
            return getattr(tokenizer, f"{self.name}_token_id", None)
        own = {"pad": vocab._padding_token, "unk": vocab._oov_token}.get(self.name, "")
        return _vocabulary(indexer, vocab).get(own)

    def _what(self) -> str:
        return f"{self.name} token"


@Baseline.register("mask")
class MaskBaseline(_NamedTokenBaseline):
    """The embedding of the tokenizer's mask token."""

    name = "mask"


@Baseline.register("pad")
class PadBaseline(_NamedTokenBaseline):
    """The embedding of the padding token."""

    name = "pad"


@Baseline.register("unk")
class UnknownBaseline(_NamedTokenBaseline):
    """The embedding of the token that stands for unknown words."""

    name = "unk"


def _vocabulary(indexer: Any, vocab: Vocabulary) -> dict[str, int]:
    namespace = getattr(indexer, "namespace", None)
    if not isinstance(namespace, str):
        return {}
    return vocab.get_token_to_index_vocabulary(namespace)


def _no_vector(what: str, call: EmbeddingCall) -> InterpretationError:
    return InterpretationError(
        f"the embedding layer {type(call.layer.module).__name__} of field {call.field!r} has no "
        f"{what}; use the baseline 'zero', or one that it has"
    )
