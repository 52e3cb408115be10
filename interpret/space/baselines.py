"""The reference input of a method: an input without information.

A baseline is a point of the embedding space: the embeddings of an instance with other vectors for
its words. Padding is kept, and so are special tokens by default.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from allennlp.common import Registrable
from allennlp.common.checks import ConfigurationError
from allennlp.data import TokenIndexer, Vocabulary
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import WhitespaceTokenizer
from torch import Tensor

from .. import checks
from ..errors import InterpretationError
from ..explanation import JsonDict
from ..inputs.texts import tokenizer_of
from ..registry import construct
from .embedding_space import EmbeddingSpace
from .layout import EmbeddingCall


class Baseline(Registrable):
    """The vectors that replace the words.

    Args:
        keep_special_tokens: Whether tokens that a tokenizer adds to every text (`[CLS]`,
            `[SEP]`, `@start@`) are kept: they are not part of the text, and get no attribution.

    Raises:
        ConfigurationError: If a parameter has the wrong type.
    """

    default_implementation = "zero"

    def __init__(self, keep_special_tokens: bool = True) -> None:
        self.keep_special_tokens = checks.boolean("keep_special_tokens", keep_special_tokens)

    def __call__(self, space: EmbeddingSpace) -> Tensor:
        """The baseline of each instance, `(instances, size)`.

        Args:
            space: The instances and their embeddings.

        Raises:
            InterpretationError: If an embedding layer has no such vector.
        """
        layout, replaceable = space.layout, self.replaceable(space).unsqueeze(-1).to(space.device)
        parts = []
        for number, part in enumerate(layout.split(space.embeddings)):
            where = replaceable[:, layout.positions_of(number)]
            parts.append(torch.where(where, self.vectors(space, layout.calls[number], part), part))
        return layout.join(parts)

    @classmethod
    def of_list(cls, baselines: list[Any]) -> Baseline:
        """Several baselines, to be averaged."""
        return AverageBaseline(baselines)

    def members(self) -> Sequence[Baseline]:
        """The baselines to attribute against one by one."""
        return [self]

    def replacements(self) -> Sequence[Baseline]:
        """The baselines to remove units by, one by one."""
        return self.members()

    def draws(self) -> Sequence[Baseline]:
        """The baselines over which the target itself is averaged where units are removed."""
        return [self]

    def replaceable(self, space: EmbeddingSpace) -> Tensor:
        """The positions that the baseline replaces, `(instances, positions)`."""
        present = space.layout.present
        return present & ~space.layout.special if self.keep_special_tokens else present

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        """The vectors that replace the words of one call of an embedding layer.

        Args:
            space: The instances and their embeddings.
            call: The call.
            part: The instances' own embeddings, `(instances, positions, dim)`.

        Returns:
            Anything that broadcasts to `part`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement vectors()")


@Baseline.register("zero")
class ZeroBaseline(Baseline):
    """The zero vector (Sundararajan et al. 2017, section 3)."""

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        return torch.zeros_like(part)


@Baseline.register("mean")
class MeanBaseline(Baseline):
    """The mean of the layer's embedding matrix: a word about which nothing is known."""

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        try:
            matrix = call.word_vectors()
        except InterpretationError as error:
            raise _no_vector("mean embedding", call) from error
        return matrix.mean(0).to(part)


@Baseline.register("token")
class TokenBaseline(Baseline):
    """The embedding of one token.

    Args:
        token: The token, as it stands in the tokenizer's or the model's vocabulary.
        keep_special_tokens: As in `Baseline`.
    """

    example: ClassVar[JsonDict] = {"token": "the"}

    def __init__(self, token: str, keep_special_tokens: bool = True) -> None:
        super().__init__(keep_special_tokens)
        self.token = checks.text("token", token)

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        index = self.index(call.indexer, space.vocab)
        if index is None:
            raise _no_vector(self._what(), call)
        return call.embed(index).to(part)

    def index(self, indexer: TokenIndexer | None, vocab: Vocabulary) -> int | None:
        """The token's index for an indexer, None if it has none."""
        tokenizer = tokenizer_of(indexer)
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
        tokenizer = tokenizer_of(indexer)
        if tokenizer is not None:
            return getattr(tokenizer, f"{self.name}_token_id", None)
        own = {"pad": vocab._padding_token, "unk": vocab._oov_token}.get(self.name)
        # Words have no mask token: the empty word is none either.
        return None if own is None else _vocabulary(indexer, vocab).get(own)

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


@Baseline.register("pad-or-zero")
class PadOrZeroBaseline(PadBaseline):
    """The embedding of the padding token, and the zero vector where there is no such token."""

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        try:
            return super().vectors(space, call, part)
        except InterpretationError:
            return torch.zeros_like(part)


@Baseline.register("unk")
class UnknownBaseline(_NamedTokenBaseline):
    """The embedding of the token that stands for unknown words."""

    name = "unk"


@Baseline.register("text")
class TextBaseline(Baseline):
    """Another text, token by token; where it is shorter than the input, padding follows.

    Args:
        text: The text.
        keep_special_tokens: As in `Baseline`.
    """

    example: ClassVar[JsonDict] = {"text": "a film"}

    def __init__(self, text: str, keep_special_tokens: bool = True) -> None:
        super().__init__(keep_special_tokens)
        self.text = checks.text("text", text)

    def vectors(self, space: EmbeddingSpace, call: EmbeddingCall, part: Tensor) -> Tensor:
        indices = self._indices(space, call)
        number = space.layout.calls.index(call)
        where = self.replaceable(space)[:, space.layout.positions_of(number)]
        # The text stands in the place of each text that the call embedded.
        each = [where & (call.fields == field) for field in range(len(call.names))]
        vectors = part.clone()
        if any(len(indices) < int(one.sum(-1).max()) for one in each):
            vectors[:] = PadBaseline().vectors(space, call, part)
        own = [call.embed(index).to(part) for index in indices]
        for one in each:
            for row, positions in enumerate(one):
                places = positions.nonzero().flatten().tolist()
                for position, vector in zip(places, own, strict=False):
                    vectors[row, position] = vector
        return vectors

    def _indices(self, space: EmbeddingSpace, call: EmbeddingCall) -> list[int]:
        indexer = call.indexer
        tokenizer = tokenizer_of(indexer)
        if tokenizer is not None:
            # A copy: tokenising changes the truncation setting of a shared tokenizer, and a thread
            # that predicts at the same time would not truncate its text.
            return copy.deepcopy(tokenizer)(self.text, add_special_tokens=False)["input_ids"]
        if not isinstance(indexer, SingleIdTokenIndexer) or indexer.namespace is None:
            raise _no_vector(f"words of the text {self.text!r}", call)
        indexer = SingleIdTokenIndexer(indexer.namespace, indexer.lowercase_tokens)
        reader: Any = space.session.twin.predictor._dataset_reader
        own = getattr(reader, "_tokenizer", None) or getattr(reader, "tokenizer", None)
        tokens = (own or WhitespaceTokenizer()).tokenize(self.text)
        return indexer.tokens_to_indices(tokens, space.vocab)["tokens"]


@Baseline.register("average")
class AverageBaseline(Baseline):
    """Several baselines: a method attributes against each and takes the mean.

    Args:
        baselines: The baselines: objects, registered names or params dicts.

    Raises:
        ConfigurationError: If there are none, or they are in no list.
    """

    example: ClassVar[JsonDict] = {"baselines": ["mask", "mean"]}

    def __init__(self, baselines: list[Any]) -> None:
        super().__init__()
        if not isinstance(baselines, (list, tuple)):
            raise ConfigurationError(
                f"baselines is a list of baselines, not {baselines!r:.100} of type "
                f"{type(baselines).__name__}"
            )
        if not baselines:
            raise ConfigurationError("an average of baselines needs at least one")
        self.baselines: list[Baseline] = [construct(Baseline, one) for one in baselines]

    def members(self) -> Sequence[Baseline]:
        return [member for baseline in self.baselines for member in baseline.members()]

    def replacements(self) -> Sequence[Baseline]:
        return [one for baseline in self.baselines for one in baseline.replacements()]

    def __call__(self, space: EmbeddingSpace) -> Tensor:
        return torch.stack([member(space) for member in self.members()]).mean(0)


def _vocabulary(indexer: Any, vocab: Vocabulary) -> dict[str, int]:
    namespace = getattr(indexer, "namespace", None)
    if not isinstance(namespace, str):
        return {}
    return vocab.get_token_to_index_vocabulary(namespace)


def _no_vector(what: str, call: EmbeddingCall) -> InterpretationError:
    return InterpretationError(
        f"the embedding layer {type(call.layer.module).__name__} of {call.what} has no "
        f"{what}; use the baseline 'zero', or one that it has"
    )
