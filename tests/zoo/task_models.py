"""Small Hugging Face models of many architectures, and tokenizers trained for them."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import torch
from allennlp.predictors import Predictor

from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.loading import TASKS, auto_class
from fixtures.tokenizer import train_wordpieces
from tests.zoo.transformers import SMALL_BART, spread

JsonDict = dict[str, Any]

TEXTS = (
    "a great film, but the plot was not very good",
    "john smith lives in london and mary in paris",
    "where does mary live? mary lives in paris, not in london!",
    "привет мир, это очень хорошо",
    "שלום עולם",
    "the badly unbelievable actor had never been so awful 😀",
)

_SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 128,
}
_LLAMA = {**_SMALL, "num_key_value_heads": 1, "head_dim": 8}


@dataclass(frozen=True)
class Kind:
    """An architecture.

    Attributes:
        tokenizer: What its tokenizer is like.
        config: What its config takes besides the vocabulary.
    """

    tokenizer: Literal["wordpiece", "bytes", "bare-bytes", "pieces", "pieces-bos", "pieces-eos"]
    config: Mapping[str, Any] = field(default_factory=lambda: _SMALL)


KINDS = {
    "bert": Kind("wordpiece"),
    "roberta": Kind("bytes"),
    "distilbert": Kind(
        "wordpiece",
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 128},
    ),
    "electra": Kind("wordpiece", {**_SMALL, "embedding_size": 8}),
    "albert": Kind("pieces", {**_SMALL, "embedding_size": 8}),
    "deberta-v2": Kind(
        "pieces",
        {
            **_SMALL,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "position_buckets": 8,
        },
    ),
    "modernbert": Kind("bytes", {**_SMALL, "global_attn_every_n_layers": 2, "local_attention": 8}),
    "gpt2": Kind("bare-bytes", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 128}),
    "llama": Kind("pieces-bos", _LLAMA),
    "qwen3": Kind("bare-bytes", _LLAMA),
    "gemma": Kind("pieces-bos", _LLAMA),
    "t5": Kind(
        "pieces-eos",
        {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
    ),
    "bart": Kind(
        "bytes",
        SMALL_BART,
    ),
}
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
LABELS = ("negative", "neutral", "positive")

INPUTS: dict[str, list[JsonDict]] = {
    "text-classification": [
        {"sentence": "a great film"},
        {"sentence": "john smith lives in london, but the plot was not very good !"},
    ],
    "token-classification": [
        {"sentence": "john smith lives in london"},
        {"sentence": "mary"},
    ],
    "question-answering": [
        {"question": "where does mary live?", "passage": "mary lives in paris, john in london"},
        {"question": "who?", "passage": "john"},
    ],
    "multiple-choice": [
        {"prompt": "mary lives", "choices": ["in paris", "a plot was not very good"]},
        {"prompt": "a", "choices": ["great film", "bad", "and so on"]},
    ],
    "masked-lm": [
        {"sentence": "a {mask} film was {mask}"},
        {"sentence": "{mask}"},
    ],
    "causal-lm": [
        {"prompt": "john smith", "max_new_tokens": 3},
        {"prompt": "a great film, but the", "continuation": " plot was"},
    ],
    "seq2seq": [
        {"source": "john smith", "max_new_tokens": 3},
        {"source": "a great film", "target": "very good"},
    ],
}


def supported() -> list[tuple[str, str]]:
    """Every architecture with every task that it has a class for."""
    from transformers import AutoConfig

    pairs = []
    for name, kind in KINDS.items():
        config = AutoConfig.for_model(name, **dict(kind.config))
        for task in TASKS:
            # BART and T5 also fill gaps and go on with texts, by other means than these tasks'.
            odd = name in ("bart", "t5") and task in ("masked-lm", "causal-lm")
            # ... and encoders can be made to write, which they are not trained for.
            odd = odd or (task == "causal-lm" and name in _ENCODERS)
            if odd or type(config) not in auto_class(task)._model_mapping:
                continue
            # ModernBERT of transformers 4 answers questions from ids and from nothing else.
            takes = inspect.signature(auto_class(task)._model_mapping[type(config)].forward)
            if takes.parameters["input_ids"].default is not inspect.Parameter.empty:
                pairs.append((name, task))
    return pairs


_ENCODERS = ("bert", "roberta", "electra", "albert", "deberta-v2", "modernbert")


def inputs(name: str, task: str) -> list[JsonDict]:
    """Inputs for a model."""
    mask = tokenizer(KINDS[name].tokenizer).mask_token
    return [
        {
            key: value.replace("{mask}", mask or "") if isinstance(value, str) else value
            for key, value in one.items()
        }
        for one in INPUTS[task]
    ]


def model(name: str, task: str, seed: int = 0, **config: Any) -> Any:
    """A model with random weights that make a difference."""
    from transformers import AutoConfig

    kind = KINDS[name]
    own = tokenizer(kind.tokenizer)
    special = {
        f"{one}_token_id": getattr(own, f"{one}_token_id")
        for one in ("pad", "bos", "eos", "cls", "sep")
    }
    # The two ends of an answer are the labels of its models.
    own_labels = {"token-classification": TAGS, "question-answering": ("start", "end")}
    labels = own_labels.get(task, LABELS)
    given = {
        "vocab_size": len(own),
        **kind.config,
        **special,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
        **config,
    }
    if "num_labels" in config:
        del given["id2label"], given["label2id"]
    if name in ("t5", "bart"):
        given["decoder_start_token_id"] = special["pad_token_id"]
    made = auto_class(task).from_config(AutoConfig.for_model(name, **given))
    spread(made, seed)
    made.tie_weights()
    return made.eval()


@cache
def predictor(name: str, task: str) -> Predictor:
    """A predictor, shared by all who ask: leave it as it is."""
    with torch.random.fork_rng():
        return TransformersPredictor.from_pretrained(
            model(name, task), tokenizer(KINDS[name].tokenizer)
        )


@cache
def tokenizer(kind: str) -> Any:
    """A tokenizer, trained on a few texts."""
    from transformers import PreTrainedTokenizerFast

    made, names = _trained(kind)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, **{f"{name}_token": token for name, token in names.items()}
    )


def _trained(kind: str) -> tuple[Any, dict[str, str]]:
    """The same texts give the same tokenizer every time, which trainers do not promise."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    if kind == "wordpiece":
        names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
        pieces = train_wordpieces(TEXTS, 160, lowercase=True)
        made = Tokenizer(models.WordPiece(_numbered(pieces), unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        template = ("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
    elif kind in ("bytes", "bare-bytes"):
        if kind == "bytes":
            names = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
            names |= {"cls": "<s>", "sep": "</s>"}
            template = ("<s> $A </s>", "<s> $A </s> </s> $B </s>")
        else:
            names = dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>")
            template = ("", "")
        split = pre_tokenizers.ByteLevel(add_prefix_space=False)
        merges = _merges(split, 100)
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        pieces = [*names.values(), *letters, *map("".join, merges)]
        made = Tokenizer(models.BPE(_numbered(pieces), merges))
        made.pre_tokenizer = split
        made.decoder = decoders.ByteLevel()
    else:
        names = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>", "mask": "<mask>"}
        if kind == "pieces":
            names |= {"cls": "[CLS]", "sep": "[SEP]"}
        template = {
            "pieces": ("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"),
            "pieces-bos": ("<s> $A", "<s> $A $B"),
            "pieces-eos": ("$A </s>", "$A </s> $B </s>"),
        }[kind]
        split = pre_tokenizers.Metaspace()
        merged = list(dict.fromkeys(map("".join, _merges(split, 60))))
        letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")})
        scored = [(piece, 0.0) for piece in names.values()]
        scored += [(letter, -9.0) for letter in letters]
        scored += [(piece, -6.0 - 0.01 * rank) for rank, piece in enumerate(merged)]
        made = Tokenizer(models.Unigram(scored, unk_id=1, byte_fallback=False))
        made.pre_tokenizer = split
        made.decoder = decoders.Metaspace()
    made.add_special_tokens(list(dict.fromkeys(names.values())))
    if template[0]:
        special = [
            (token, made.token_to_id(token))
            for token in dict.fromkeys(names.values())
            if token in template[1]
        ]
        made.post_processor = processors.TemplateProcessing(
            single=template[0], pair=template[1], special_tokens=special
        )
    return made, names


def _numbered(pieces: Sequence[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def _merges(split: Any, count: int) -> list[tuple[str, str]]:
    """The most frequent neighbours in the texts' words, again and again, ties by the alphabet."""
    words = [list(word) for text in TEXTS for word, _ in split.pre_tokenize_str(text)]
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs = Counter(pair for word in words for pair in pairwise(word))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = [_merged(word, best) for word in words]
    return merges


def _merged(word: Sequence[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for part in word:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result
