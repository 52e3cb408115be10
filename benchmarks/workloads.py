"""What is measured on: models, and texts of known lengths."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from allennlp.data import Vocabulary
from allennlp.data.dataset_readers import TextClassificationJsonReader
from allennlp.data.token_indexers import PretrainedTransformerIndexer
from allennlp.data.tokenizers import PretrainedTransformerTokenizer
from allennlp.models import BasicClassifier
from allennlp.modules.seq2vec_encoders import ClsPooler
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import PretrainedTransformerEmbedder
from allennlp.predictors import Predictor, TextClassifierPredictor
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from allennlp_saliency.predictors import TransformersPredictor

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"

Texts = tuple[dict[str, Any], ...]
"""Inputs as for `predict_json`."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# AllenNLP finds out what a tokenizer adds to a text by means of the words a and b.
_LETTERS = ("a", "b")
_END = "<|endoftext|>"


@dataclass(frozen=True)
class BertSize:
    """The numbers of a BERT; by default those of bert-base-uncased."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    vocab_size: int = 30522


@dataclass(frozen=True)
class GPT2Size:
    """The numbers of a GPT-2; by default those of the smallest that was published."""

    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    vocab_size: int = 50257


BERT_BASE = "bert-base"
SMALL = "small"
TINY = "tiny"
GPT2_SMALL = "gpt2-small"
TINY_LANGUAGE_MODEL = "tiny-gpt2"
SMALL_LANGUAGE_MODEL = "small-gpt2"
CLASSIFIER = "bert-base of transformers"
TINY_CLASSIFIER = "tiny of transformers"
SMALL_CLASSIFIER = "small of transformers"
# "small" is that of the BERTs of many sizes of Turc et al. 2019.
SIZES = {
    BERT_BASE: BertSize(),
    SMALL: BertSize(512, 4, 8, 2048),
    TINY: BertSize(16, 2, 2, 32, 100),
}
CLASSIFIERS = {
    CLASSIFIER: SIZES[BERT_BASE],
    SMALL_CLASSIFIER: SIZES[SMALL],
    TINY_CLASSIFIER: SIZES[TINY],
}
LANGUAGE_MODELS = {
    GPT2_SMALL: GPT2Size(),
    SMALL_LANGUAGE_MODEL: GPT2Size(512, 4, 8),
    TINY_LANGUAGE_MODEL: GPT2Size(16, 2, 2, 100),
}
OF_SIZE = {
    BERT_BASE: (CLASSIFIER, GPT2_SMALL),
    SMALL: (SMALL_CLASSIFIER, SMALL_LANGUAGE_MODEL),
    TINY: (TINY_CLASSIFIER, TINY_LANGUAGE_MODEL),
}
"""The classifier of transformers and the language model that go with a size."""


def predictor(model: str, device: str) -> Predictor:
    """A classifier or a language model to explain.

    Args:
        model: The name of a size (random weights) or of a folder in `fixtures/` (trained).
        device: "cpu" or "cuda".

    Raises:
        FileNotFoundError: If there is no such fixture.
    """
    if model in SIZES:
        return random_classifier(SIZES[model], device)
    if model in CLASSIFIERS:
        return random_transformers_classifier(CLASSIFIERS[model], device)
    if model in LANGUAGE_MODELS:
        return random_language_model(LANGUAGE_MODELS[model], device)
    archive = FIXTURES / model / "model.tar.gz"
    if not archive.is_file():
        raise FileNotFoundError(f"there is no {archive}; `make fixtures` trains it")
    return Predictor.from_path(str(archive), cuda_device=0 if device == "cuda" else -1)


def random_classifier(size: BertSize, device: str) -> Predictor:
    """A BERT classifier with random weights: AllenNLP's own reader, model and predictor."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        _write_transformer(Path(folder), size)
        reader = TextClassificationJsonReader(
            tokenizer=PretrainedTransformerTokenizer(folder),
            token_indexers={"tokens": PretrainedTransformerIndexer(folder)},
            text_key="sentence",
        )
        embedder = PretrainedTransformerEmbedder(folder, load_weights=False)
        vocab = Vocabulary()
        vocab.add_tokens_to_namespace(["negative", "positive"], "labels")
        model = BasicClassifier(
            vocab,
            BasicTextFieldEmbedder({"tokens": embedder}),
            ClsPooler(embedder.get_output_dim()),
            dropout=0.1,
            namespace="tags",
        )
        # The indexer reads the wordpieces now, while the folder is there.
        instance = reader.text_to_instance(_word(1))
        reader.apply_token_indexers(instance)
        instance.index_fields(vocab)
    return TextClassifierPredictor(model.eval().to(device), reader)


def random_transformers_classifier(size: BertSize, device: str) -> Predictor:
    """transformers' own BERT for classifying texts, with random weights."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        _write_transformer(Path(folder), size)
        tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=512)
    two_labels: Any = {"num_labels": 2}
    model: Any = BertForSequenceClassification(BertConfig(**vars(size), **two_labels))
    return TransformersPredictor.from_pretrained(
        model.eval().to(device), tokenizer, task="text-classification"
    )


def random_language_model(size: GPT2Size, device: str) -> Predictor:
    """A GPT-2 with random weights, whose only special token is as good as no word: it embeds as
    zero."""
    torch.manual_seed(0)
    words = {_END: 0} | {_word(number): number + 1 for number in range(size.vocab_size - 1)}
    splits = Tokenizer(WordLevel(words, unk_token=_END))
    splits.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=splits,
        model_max_length=1024,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name}_token": _END for name in ("bos", "eos", "pad", "unk")},
    )
    special: dict[str, Any] = {f"{name}_token_id": words[_END] for name in ("bos", "eos", "pad")}
    model: Any = GPT2LMHeadModel(GPT2Config(**vars(size), **special))
    with torch.no_grad():
        model.get_input_embeddings().weight[words[_END]] = 0
    return TransformersPredictor.from_pretrained(
        model.eval().to(device), tokenizer, task="causal-lm"
    )


def sentences(lengths: Sequence[int], words: int = 90) -> Texts:
    """Inputs for the random classifiers.

    Args:
        lengths: In wordpieces, `[CLS]` and `[SEP]` included.
        words: How many different words to draw from.
    """
    draw = random.Random(0)
    return tuple(
        {"sentence": " ".join(_word(draw.randrange(words)) for _ in range(length - 2))}
        for length in lengths
    )


def continued(before: int, after: int, words: int = 90) -> Texts:
    """A prompt and what comes after it, for the random language models.

    Args:
        before: Words of the prompt, each of them a token.
        after: Words after it.
        words: How many different words to draw from.
    """
    draw = random.Random(0)
    text = [_word(draw.randrange(words)) for _ in range(before + after)]
    prompt, continuation = " ".join(text[:before]), " ".join(text[before:])
    return ({"prompt": prompt, "continuation": f" {continuation}"},)


def with_context(parts: int, part: int, question: int, after: int, words: int = 90) -> Texts:
    """A prompt that begins with a context of parts, as units, and what comes after it, for the
    random language models.

    Args:
        parts: Parts of the context.
        part: Words of each, each of them a token.
        question: Words behind the context.
        after: Words after the prompt, which are explained together.
        words: How many different words to draw from.
    """
    (text,) = continued(parts * part + question, after, words)
    prompt, units, start = text["prompt"].split(), [], 0
    for number in range(parts):
        end = start + len(" ".join(prompt[number * part : (number + 1) * part]))
        units.append([start, end])
        start = end + 1
    return ({**text, "units": {"prompt": units}, "explain": "span"},)


def fewer(texts: Texts) -> Texts:
    """For a quick look: every fourth text, the shortest first, and of what comes after a prompt an
    eighth."""
    few = sorted(texts, key=length)[::4] if len(texts) > 1 else texts
    return tuple(_with_less_after(text) if "continuation" in text else text for text in few)


def _with_less_after(text: dict[str, Any]) -> dict[str, Any]:
    after = text["continuation"].split()
    return text | {"continuation": " " + " ".join(after[: -(-len(after) // 8)])}


def length(text: dict[str, Any]) -> int:
    """How long an input is, in characters."""
    return sum(len(value) for value in text.values() if isinstance(value, str))


def spread(count: int, shortest: int, longest: int) -> list[int]:
    """Lengths in random order, each longer than the one before by the same factor: as in most
    texts, short sentences are frequent and long ones rare."""
    factor = (longest / shortest) ** (1 / (count - 1))
    lengths = [round(shortest * factor**number) for number in range(count)]
    random.Random(1).shuffle(lengths)
    return lengths


def fixture_texts(fixture: str, count: int) -> Texts:
    """The first inputs of a fixture, without their labels and rationales."""
    with (FIXTURES / fixture / "inputs.jsonl").open(encoding="utf-8") as lines:
        inputs = [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]
    return tuple({"sentence": one["sentence"]} for one in inputs)


def _word(number: int) -> str:
    return f"word{number}"


def _write_transformer(folder: Path, size: BertSize) -> None:
    config = BertConfig(**vars(size), hidden_dropout_prob=0.1)
    config.architectures = ["BertModel"]
    config.save_pretrained(folder)
    known = [*_SPECIAL, *_LETTERS]
    known += [_word(number) for number in range(size.vocab_size - len(known))]
    (folder / "vocab.txt").write_text("\n".join(known) + "\n", encoding="utf-8")
    named = {f"{token.strip('[]').lower()}_token": token for token in _SPECIAL}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, **named}),
        encoding="utf-8",
    )
