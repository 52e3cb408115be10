"""The recorded embeddings of instances, and the word vectors of the layers that made them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from allennlp.data import Instance, Token, TokenIndexer, Vocabulary
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.models import Model
from torch import Tensor

from ..errors import InterpretationError
from ..inputs.texts import text_items
from ..model.twin import Twin
from ..positions import PADDING
from .layout import Layout
from .recording import EmbeddingCall


class EmbeddingTable:
    """Instances with their embeddings, layout and embedding layers; no function values.

    Attributes:
        instances: The instances.
        embeddings: The instances' own points, `(instances, size)`, float32 or wider.
        layout: Where tokens stand in a point.
    """

    instances: list[Instance]
    embeddings: Tensor
    layout: Layout
    _twin: Twin
    _calls: list[EmbeddingCall]

    @property
    def model(self) -> Model:
        """The model that is run: a twin of the user's."""
        return self._twin.model

    @property
    def device(self) -> torch.device:
        """Where points and gradients live."""
        return self._twin.device

    @cached_property
    def tokens_per_row(self) -> int:
        """Positions that a row takes through the model: its cost."""
        return max(self.layout.tokens.shape[1], 1)

    @property
    def rounding(self) -> float:
        """The relative rounding error of the floating type that the model computes in."""
        return torch.finfo(self._twin.dtype).eps

    @property
    def vocab(self) -> Vocabulary:
        """The model's vocabulary."""
        return self._twin.model.vocab

    def replaced(
        self,
        positions: Tensor,
        vectors: Callable[[Any, EmbeddingCall, Tensor], Tensor],
    ) -> Tensor:
        """The instances' own points with other vectors at some positions.

        Args:
            positions: Which, `(instances, positions)`.
            vectors: Given the space, a call and its embeddings `(instances, positions, dim)`,
                returns the new vectors: anything that broadcasts to the embeddings.

        Returns:
            `(instances, size)`.
        """
        parts = []
        for number, part in enumerate(self.layout.split(self.embeddings)):
            where = positions[:, self.layout.positions_of(number)].unsqueeze(-1).to(self.device)
            parts.append(torch.where(where, vectors(self, self._calls[number], part), part))
        return self.layout.join(parts)

    @cached_property
    def units(self) -> Tensor:
        """The positions that change together with a token, `(instances, units, positions)`.

        A unit is a token with all its wordpieces, in all calls of its field; what belongs to no
        token is a unit of its own.
        """
        width = self.layout.tokens.shape[1]
        numbers = torch.full((len(self.instances), width), -1)
        for row in range(len(self.instances)):
            known: dict[tuple[str, int], int] = {}
            for number, call in enumerate(self.layout.calls):
                start = self.layout.positions_of(number).start
                places = zip(call.fields[row].tolist(), call.tokens[row].tolist(), strict=True)
                for position, (field, token) in enumerate(places):
                    if token == PADDING:
                        continue
                    unit = (call.names[field], token if token >= 0 else -1 - start - position)
                    numbers[row, start + position] = known.setdefault(unit, len(known))
        count = int(numbers.max()) + 1 if numbers.numel() else 0
        return numbers.unsqueeze(1) == torch.arange(count).view(1, -1, 1)

    def embedding_matrix(self, number: int) -> Tensor:
        """The word vectors of a call's embedding layer, as it returns them, `(words, dim)`.

        Raises:
            InterpretationError: If the layer is no matrix of word vectors.
        """
        call = self._calls[number]
        matrix = _word_vectors(call.layer.module, self.layout.calls[number].dim)
        if matrix is None:
            raise InterpretationError(
                f"the embedding layer {type(call.layer.module).__name__} of {call.what} "
                "is no matrix of word vectors, which this method needs; use a gradient method "
                "that does not"
            )
        return matrix

    def number(self, call: EmbeddingCall) -> int:
        """The place of a call among the calls of the layout."""
        return next(number for number, other in enumerate(self._calls) if other is call)

    def tokenize(self, text: str) -> list[Token]:
        """A text as the dataset reader splits it, at spaces where it has no tokenizer."""
        reader = self._twin.predictor._dataset_reader
        tokenizer = getattr(reader, "_tokenizer", None) or getattr(reader, "tokenizer", None)
        return (tokenizer or WhitespaceTokenizer()).tokenize(text)

    def indexer(self, call: EmbeddingCall) -> TokenIndexer | None:
        """The token indexer whose indices a call embedded, None where that is unknown."""
        for instance in self.instances:
            for item in text_items(instance.fields[call.names[0]]):
                indexers = item.text.token_indexers
                name = call.layer.indexer or next(iter(indexers))
                return indexers.get(name)
        return None

    def embed(self, call: EmbeddingCall, index: int) -> Tensor:
        """The vector that a call's layer gives one index, `(dim,)`.

        Raises:
            InterpretationError: If the layer does not take a token as one index.
        """
        try:
            with torch.no_grad():
                vector = call.layer.module(torch.tensor([[index]], device=self.device))
                vector = vector[0] if isinstance(vector, tuple) else vector
        except Exception as error:
            raise InterpretationError(
                f"the embedding layer {type(call.layer.module).__name__} of {call.what} "
                "does not embed a token by its index; use the baseline 'zero'"
            ) from error
        return vector.reshape(-1)


def _word_vectors(module: Any, dim: int) -> Tensor | None:
    """The vector that an embedding layer returns for each word, `(words, dim)`; None where
    the vector of a word depends on others.

    That need not be its weight: Gemma's layer scales it by the root of its size, AllenNLP's
    projects it.
    """
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() != 2:
        return None
    words = torch.arange(len(weight), device=weight.device)
    some = words[:: max(len(words) // 8, 1)]
    with torch.no_grad():
        try:
            together, alone = module(some[None])[0], module(some[:, None])[:, 0]
        except Exception:
            # The layer takes something else than word indices.
            return None
        fits = together.shape == (len(some), dim)
        if not fits or not torch.allclose(together, alone, rtol=1e-4, atol=1e-6):
            return None
        if weight.shape[1] == dim and torch.equal(together, weight[some]):
            return weight
        return module(words[None])[0]
