"""Text fields for Hugging Face models, and the base class of their dataset readers."""

import json
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Optional

import torch
from allennlp.common.file_utils import cached_path
from allennlp.data import DatasetReader, IndexedTokenList, Instance, TokenIndexer, Vocabulary
from allennlp.data.fields import ListField, TextField
from allennlp.data.tokenizers import Token
from torch import Tensor

from allennlp_saliency.interpret import checks

from ..loading import load_tokenizer
from .hf_tokenizer import Pieces


@dataclass(frozen=True)
class Overlong:
    """What to do with a text that is longer than the model takes.

    Attributes:
        policy: `overlong` of `TransformersReader`.
        stride: As there (transformers' tokenizers call it so).
        max_length: As there.

    Raises:
        ConfigurationError: If there is no such policy, or a number is out of range.
    """

    policy: str = "error"
    stride: int | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        checks.choice("overlong", self.policy, ("error", "truncate", "window"))
        checks.optional_integer("stride", self.stride, least=0)
        checks.optional_integer("max_length", self.max_length, least=1)


class SourceTextField(TextField):
    """Tokens, and the text whose characters their offsets count.

    Args:
        tokens: The tokens.
        token_indexers: What indexes them.
        source_text: The text.
        overlong: What to do if there are more tokens than the model takes; None refuses them.
    """

    def __init__(
        self,
        tokens: list[Token],
        token_indexers: dict[str, TokenIndexer],
        source_text: str,
        overlong: Overlong | None = None,
    ) -> None:
        super().__init__(tokens, token_indexers)
        self.source_text = source_text
        self.overlong = overlong
        self.parts: dict[tuple[int, ...], SourceTextField] = {}

    def duplicate(self) -> "SourceTextField":
        """A copy, with the same indexers."""
        copy = SourceTextField(
            deepcopy(self.tokens), dict(self.token_indexers), self.source_text, self.overlong
        )
        copy._indexed_tokens = deepcopy(self._indexed_tokens)
        return copy

    def empty_field(self) -> "SourceTextField":
        """No tokens."""
        empty = super().empty_field()
        made = SourceTextField([], empty.token_indexers, "")
        # It pads a list whose texts may be indexed already.
        made._indexed_tokens = empty._indexed_tokens
        return made


@TokenIndexer.register("transformers")
class TransformersIndexer(TokenIndexer):
    """Takes `text_id` and `type_id` of each token as they are, whatever tokenizer they came from.

    Args:
        tokenizer: The Hugging Face tokenizer that made the tokens; baselines look up its special
            tokens here.
    """

    def __init__(self, tokenizer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._tokenizer = tokenizer
        # Types only where the tokenizer makes them: GPT-2 would take them for words.
        self._types = "token_type_ids" in getattr(tokenizer, "model_input_names", ())

    def __deepcopy__(self, memo: dict[int, Any]) -> "TransformersIndexer":
        # Nothing in it changes, and a tokenizer takes seconds to copy.
        return self

    def count_vocab_items(self, token: Token, counter: dict[str, dict[str, int]]) -> None:
        """The ids are the tokenizer's: nothing to count."""

    def tokens_to_indices(self, tokens: list[Token], vocabulary: Vocabulary) -> IndexedTokenList:
        """`token_ids`, `mask` of some tokens, whether they stand `in_text`, and `type_ids` where
        the tokenizer makes them."""
        indices: IndexedTokenList = {
            "token_ids": [token.text_id for token in tokens],
            "mask": [True] * len(tokens),
            "in_text": [token.idx is not None for token in tokens],
        }
        if self._types:
            indices["type_ids"] = [token.type_id or 0 for token in tokens]
        return indices

    def get_empty_token_list(self) -> IndexedTokenList:
        """No tokens."""
        return self.tokens_to_indices([], None)  # type: ignore[arg-type]

    def as_padded_tensor_dict(
        self, tokens: IndexedTokenList, padding_lengths: dict[str, int]
    ) -> dict[str, Tensor]:
        """The same as tensors, padded on the right, `(positions,)` each."""
        padding = getattr(self._tokenizer, "pad_token_id", None)
        values = {"token_ids": padding or 0, "type_ids": 0}
        return {
            key: torch.tensor(
                list(given) + [values.get(key, False)] * (padding_lengths[key] - len(given)),
                dtype=torch.long if key in values else torch.bool,
            )
            for key, given in tokens.items()
        }


class TransformersReader(DatasetReader):
    """Reads JSON lines with the keys that the predictor takes.

    Args:
        model_name: A folder, a hub id or a tokenizer object.
        overlong: What to do with a text that is longer than the model takes: "error" refuses it;
            "truncate" cuts what the tokenizer would cut; "window" reads overlapping windows of it.
        stride: How many tokens a window shares with the next one at least; None for half of what
            fits.
        max_length: How many tokens the model is to take at most; None for as many as it has
            positions.
    """

    def __init__(
        self,
        model_name: Any,
        overlong: str = "error",
        stride: Optional[int] = None,  # noqa: UP045
        max_length: Optional[int] = None,  # noqa: UP045
        **kwargs: Any,
    ) -> None:
        super().__init__(
            manual_distributed_sharding=True, manual_multiprocess_sharding=True, **kwargs
        )
        self.tokenizer = load_tokenizer(model_name)
        self.overlong = Overlong(overlong, stride, max_length)
        self._tokenizer = Pieces(self.tokenizer)
        self._indexers: dict[str, TokenIndexer] = {"tokens": TransformersIndexer(self.tokenizer)}

    def _read(self, file_path: str) -> Iterable[Instance]:
        with open(cached_path(file_path), encoding="utf-8") as lines:
            for line in self.shard_iterable(line for line in lines if line.strip()):
                yield self.text_to_instance(**json.loads(line))

    def apply_token_indexers(self, instance: Instance) -> None:
        """Gives every text of an instance its indexer."""
        for field in instance.fields.values():
            texts = field.field_list if isinstance(field, ListField) else [field]
            for text in texts:
                if isinstance(text, TextField):
                    text._token_indexers = self._indexers

    def text_field(self, tokens: list[Token], text: str) -> SourceTextField:
        """The tokens of a text as a field."""
        return SourceTextField(tokens, self._indexers, text, self.overlong)
