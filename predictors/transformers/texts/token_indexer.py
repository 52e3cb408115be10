"""The token indexer of a Hugging Face model: tokens bring their ids with them."""

from typing import Any

import torch
from allennlp.data import IndexedTokenList, TokenIndexer, Vocabulary
from allennlp.data.tokenizers import Token
from torch import Tensor


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
