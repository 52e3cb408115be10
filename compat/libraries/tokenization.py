"""What AllenNLP asks of Hugging Face tokenizers and what they no longer have."""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from ..registry import Original, after, patch, wrap

_BACKEND = "TokenizersBackend"


def encode_plus(tokenizer: Any, text: Any, text_pair: Any = None, **kwargs: Any) -> Any:
    """`tokenizer(text, text_pair, …)` under the name that it had in transformers 4.

    Raises:
        TypeError: `text` is a list; the call operator would take it for a batch.
    """
    if not isinstance(text, str):
        raise TypeError(
            "encode_plus takes one text (str); for words use "
            "`tokenizer(words, is_split_into_words=True)`, for ids `tokenizer.prepare_for_model`."
        )
    return tokenizer(text, text_pair, **kwargs)


def batch_encode_plus(tokenizer: Any, batch_text_or_text_pairs: Any, **kwargs: Any) -> Any:
    """`tokenizer(texts, …)` or `tokenizer(texts, pairs, …)` under its name in transformers 4."""
    batch = list(batch_text_or_text_pairs)
    if batch and isinstance(batch[0], tuple) and not kwargs.get("is_split_into_words"):
        return tokenizer([first for first, _ in batch], [second for _, second in batch], **kwargs)
    return tokenizer(batch, **kwargs)


def _base_class() -> Any:
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

    return PreTrainedTokenizerBase


@after(
    "allennlp",
    why="transformers 5 tokenizers have no encode_plus; spawned workers unpickle them right after "
    "`import allennlp`",
)
def tokenizers_encode_plus(module: Any) -> bool:
    """Give the tokenizers' base class the two methods, where it lacks them."""
    base = _base_class()
    missing = [one for one in (encode_plus, batch_encode_plus) if not hasattr(base, one.__name__)]
    for function in missing:
        setattr(base, function.__name__, function)
    return bool(missing)


def _frame(tokenizer: Any) -> tuple[list[int], list[int], list[int], list[int]]:
    """Special ids before, between and after, read off one short text and a pair of it."""
    word = tokenizer("a", add_special_tokens=False)["input_ids"]
    single, pair = tokenizer("a")["input_ids"], tokenizer("a", "a")["input_ids"]
    start, first = _index(single, word), _index(pair, word)
    second = _index(pair, word, first + len(word))
    between = pair[first + len(word) : second]
    return single[:start], between, single[start + len(word) :], pair[second + len(word) :]


def _index(ids: list[int], part: list[int], start: int = 0) -> int:
    for index in range(start, len(ids) - len(part) + 1):
        if ids[index : index + len(part)] == part:
            return index
    raise ValueError(f"cannot find the ids {part} in {ids} from position {start} on")


@after(
    "allennlp.data.token_indexers.pretrained_transformer_indexer",
    why="fast tokenizers of transformers 5 have no build_inputs_with_special_tokens, which "
    "indexers with max_length call; in 4 those of no model's own class leave the tokens out",
)
def indexers_special_tokens(module: Any) -> bool:
    """Give the tokenizers' base class the method, where it lacks it."""
    base = _base_class()
    if hasattr(base, "build_inputs_with_special_tokens"):
        from transformers import PreTrainedTokenizerFast

        # Classes that have the method of their own keep it.
        base = PreTrainedTokenizerFast
        if "build_inputs_with_special_tokens" in vars(base):
            return False
    frames: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def build_inputs_with_special_tokens(
        self: Any, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """The ids of one or two segments with the special tokens' ids around them."""
        if self not in frames:
            frames[self] = _frame(self)
        start, middle, end, pair_end = frames[self]
        if token_ids_1 is None:
            return [*start, *token_ids_0, *end]
        return [*start, *token_ids_0, *middle, *token_ids_1, *pair_end]

    base.build_inputs_with_special_tokens = build_inputs_with_special_tokens
    return True


@patch(
    "allennlp.common.cached_transformers",
    "get_tokenizer",
    why="AutoTokenizer.from_pretrained refuses add_special_tokens, which AllenNLP passes again at "
    "every call of the tokenizer anyway",
)
def tokenizer_arguments(original: Original, model_name: str, **kwargs: Any) -> Any:
    """Drop the argument on the way to transformers."""
    kwargs.pop("add_special_tokens", None)
    return original(model_name, **kwargs)


def __getattr__(name: str) -> Any:
    # Workers are given tokenizers pickled, by the name of their class.
    if name == _BACKEND:
        return _backend()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _backend() -> Any:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    class TokenizersBackend(PreTrainedTokenizerFast):
        """What transformers 5 calls a tokenizer of no model's own class."""

        def __init__(
            self,
            *args: Any,
            tokenizer_object: Any = None,
            tokenizer_file: Any = None,
            **kwargs: Any,
        ) -> None:
            made = tokenizer_object or Tokenizer.from_file(tokenizer_file)
            rule = json.loads(made.pre_tokenizer.__getstate__()) if made.pre_tokenizer else {}
            # 4 takes away the space before the first word by default; 5 leaves it as it is.
            kwargs["add_prefix_space"] = rule.get("add_prefix_space", False)
            kwargs.setdefault("model_input_names", ["input_ids", "attention_mask"])
            super().__init__(*args, tokenizer_object=made, **kwargs)

    TokenizersBackend.__module__, TokenizersBackend.__qualname__ = __name__, _BACKEND
    return TokenizersBackend


@after(
    "allennlp.common.cached_transformers",
    why="transformers 5 saves tokenizers of no model's own class under a name that 4 does not know",
)
def newer_tokenizers(module: Any) -> bool:
    """Give transformers 4 a class of that name, which splits texts as the saved tokenizer says."""
    from transformers.models.auto import tokenization_auto

    if tokenization_auto.tokenizer_class_from_name(_BACKEND) is not None:
        return False
    wrap(
        tokenization_auto,
        "tokenizer_class_from_name",
        lambda original, name: _backend() if name == _BACKEND else original(name),
    )
    return True
