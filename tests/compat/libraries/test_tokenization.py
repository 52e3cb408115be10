"""Tokenizers answer to their old method names with the same ids."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from allennlp.common import cached_transformers
from allennlp.data import Vocabulary
from allennlp.data.token_indexers import PretrainedTransformerIndexer
from allennlp.data.tokenizers import PretrainedTransformerTokenizer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

IDS = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3, "a": 4, "b": 5, "c": 6}


def _tokenizer(single: str, pair: str) -> PreTrainedTokenizerFast:
    """A word tokenizer whose special tokens stand where the templates say."""
    backend = Tokenizer(models.WordLevel(IDS, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", bos_token="<s>"
    )


# The expected ids are written by hand, from the models' papers and documentation.
LAYOUTS: dict[str, tuple[str, str, list[int], list[int]]] = {
    "bert": (
        "<s> $A </s>",
        "<s> $A </s> $B </s>",
        [2, 5, 6, 3],
        [2, 5, 6, 3, 4, 3],
    ),
    "roberta": (
        "<s> $A </s>",
        "<s> $A </s> </s> $B </s>",
        [2, 5, 6, 3],
        [2, 5, 6, 3, 3, 4, 3],
    ),
    "xlnet": (
        "$A </s> <s>",
        "$A </s> $B </s> <s>",
        [5, 6, 3, 2],
        [5, 6, 3, 4, 3, 2],
    ),
    "gpt2": ("$A", "$A $B", [5, 6], [5, 6, 4]),
}


def _skip_unless_ours(method: Any) -> None:
    if method.__module__ != "allennlp_saliency.compat.libraries.tokenization":
        pytest.skip("this transformers has a method of its own, which stays")


@pytest.mark.parametrize(("single", "pair", "one", "two"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_special_tokens_around_segments(
    single: str, pair: str, one: list[int], two: list[int]
) -> None:
    tokenizer: Any = _tokenizer(single, pair)
    _skip_unless_ours(tokenizer.build_inputs_with_special_tokens)
    assert tokenizer.build_inputs_with_special_tokens([5, 6]) == one
    assert tokenizer.build_inputs_with_special_tokens([5, 6], [4]) == two
    assert tokenizer.build_inputs_with_special_tokens([]) == [i for i in one if i not in (5, 6)]


@pytest.mark.parametrize("prefix", [False, True])
def test_tokenizers_that_transformers_5_saved(tmp_path: Path, prefix: bool) -> None:
    """A text's first word is split as tokenizer.json says; the configuration does not."""
    ids = {"<unk>": 0, "a": 1, "b": 2, "Ġ": 3, "Ġa": 4, "Ġb": 5}
    backend = Tokenizer(models.BPE(ids, [("Ġ", "a"), ("Ġ", "b")], unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    backend.save(str(tmp_path / "tokenizer.json"))
    saved = {"backend": "tokenizers", "tokenizer_class": "TokenizersBackend", "unk_token": "<unk>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(saved), encoding="utf-8")
    config = {"model_type": "gpt2", "vocab_size": len(ids)}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    expected = [4 if prefix else 1, 5]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for one in (tokenizer, copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert dict(one("a b")) == {"input_ids": expected, "attention_mask": [1, 1]}
    tokenizer.save_pretrained(tmp_path / "again")
    assert AutoTokenizer.from_pretrained(tmp_path / "again")("a b")["input_ids"] == expected


def test_encode_plus_and_batch_encode_plus() -> None:
    tokenizer: Any = _tokenizer("<s> $A </s>", "<s> $A </s> $B </s>")
    assert tokenizer.encode_plus("b c")["input_ids"] == [2, 5, 6, 3]
    assert tokenizer.encode_plus("b", "c", add_special_tokens=False)["input_ids"] == [5, 6]
    assert tokenizer.encode_plus("b", "c")["input_ids"] == [2, 5, 3, 6, 3]
    assert tokenizer.batch_encode_plus(["b", "c a"])["input_ids"] == [[2, 5, 3], [2, 6, 4, 3]]
    pairs = tokenizer.batch_encode_plus([("b", "c"), ("a", "a")])
    assert pairs["input_ids"] == [[2, 5, 3, 6, 3], [2, 4, 3, 4, 3]]


def test_encode_plus_refuses_what_would_be_taken_for_a_batch() -> None:
    tokenizer: Any = _tokenizer("<s> $A </s>", "<s> $A </s> $B </s>")
    _skip_unless_ours(tokenizer.encode_plus)
    with pytest.raises(TypeError, match="takes one text"):
        tokenizer.encode_plus(["b", "c"])


def test_long_texts_are_folded_with_special_tokens_in_every_segment(
    transformer_folder: Path,
) -> None:
    name = str(transformer_folder)
    tokens = PretrainedTransformerTokenizer(name).tokenize("a b good bad film")
    indexer = PretrainedTransformerIndexer(name, namespace="tags", max_length=4)
    indexed = indexer.tokens_to_indices(tokens, Vocabulary())
    # Segments of at most 4: [CLS] a b [SEP] [CLS] good bad [SEP] [CLS] film [SEP]
    assert indexed["token_ids"] == [2, 5, 6, 3, 2, 7, 8, 3, 2, 9, 3]
    assert indexed["segment_concat_mask"] == [True] * 11


def test_get_tokenizer_drops_add_special_tokens(transformer_folder: Path) -> None:
    with_them = cached_transformers.get_tokenizer(str(transformer_folder), add_special_tokens=True)
    without = cached_transformers.get_tokenizer(str(transformer_folder), add_special_tokens=False)
    assert with_them is without
    assert with_them("a")["input_ids"] == [2, 5, 3]
