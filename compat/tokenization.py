"""What AllenNLP asks of Hugging Face tokenizers and what they no longer have."""

from __future__ import annotations

from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from .registry import after, replace


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
    missing = [
        function
        for function in (encode_plus, batch_encode_plus)
        if not hasattr(base, function.__name__)
    ]
    for function in missing:
        setattr(base, function.__name__, function)
    return bool(missing)


def _frame(tokenizer: Any) -> tuple[list[int], list[int], list[int], list[int]]:
    """Special ids before, between and after, read off one short text and a pair of it."""
    word = tokenizer("a", add_special_tokens=False)["input_ids"]
    single = tokenizer("a")["input_ids"]
    pair = tokenizer("a", "a")["input_ids"]
    start = _index(single, word)
    first = _index(pair, word)
    second = _index(pair, word, first + len(word))
    return (
        single[:start],
        pair[first + len(word) : second],
        single[start + len(word) :],
        pair[second + len(word) :],
    )


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


@after(
    "allennlp.common.cached_transformers",
    why="AutoTokenizer.from_pretrained refuses add_special_tokens, which AllenNLP passes again at "
    "every call of the tokenizer anyway",
)
def tokenizer_arguments(module: Any) -> bool:
    """Drop the argument on the way to transformers."""
    original = module.get_tokenizer

    @wraps(original)
    def get_tokenizer(model_name: str, **kwargs: Any) -> Any:
        kwargs.pop("add_special_tokens", None)
        return original(model_name, **kwargs)

    replace(module, "get_tokenizer", get_tokenizer)
    return True
