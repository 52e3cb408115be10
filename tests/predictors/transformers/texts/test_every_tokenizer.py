"""Awkward texts through every kind of tokenizer and every task: scores stand where they belong."""

from __future__ import annotations

import copy
import math
import unicodedata
from functools import cache
from typing import Any

import pytest
import torch

from allennlp_saliency.interpret import InterpretationError, SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import TEXTS, inputs, model, predictor, tokenizer

# Per kind of tokenizer an architecture that has one like it.
KINDS = {
    "wordpiece": "bert",
    "bytes": "roberta",
    "bare-bytes": "gpt2",
    "pieces": "albert",
    "pieces-bos": "llama",
    "pieces-eos": "t5",
    "fallback": "llama",
}
SPOKEN = {
    "split character": "a 😀 great 語 film",
    "joined emoji": "👩‍👩‍👧 lives in 🇮🇹",
    "combining accent": "cafe\u0301, naïve",
    "right to left": "שלום עולם, مرحبا hello",
    "equal words": "great film great film great",
    "spaces": "  two  spaces\tand a tab\n",
    "full width": "ﬁlm １２３ Ａ",
    "control": "a\u200bb\u00a0c\ufeff d",
}


@cache
def tokenizer_of(kind: str) -> Any:
    return _fallback() if kind == "fallback" else tokenizer(kind)


def _fallback() -> Any:
    """A tokenizer as Llama 2's: letters and merges, and bytes for characters that it lacks; spaces
    become ▁ before it looks at the text."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(
        {c for text in TEXTS for c in text.replace(" ", "▁") if c.isascii() or c == "▁"}
    )
    merges = [("▁", "g"), ("▁g", "r"), ("▁gr", "e"), ("▁gre", "a"), ("▁grea", "t"), ("▁", "a")]
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256))]
    pieces += [*letters, *map("".join, merges)]
    made = Tokenizer(
        models.BPE(
            {piece: number for number, piece in enumerate(dict.fromkeys(pieces))},
            merges,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


@cache
def made(kind: str, task: str) -> Any:
    own = tokenizer_of(kind)
    with torch.random.fork_rng():
        network = model(KINDS[kind], task, vocab_size=len(own))
    if task == "token-classification":
        # Without a tag for what is no entity every word is explained.
        network.config.id2label = dict(enumerate(("NOUN", "VERB", "DET", "ADP", "PUNCT")))
    return TransformersPredictor.from_pretrained(network, own)


def explain(predictor: Any, given: Any, method: str = "input-x-gradient", **more: Any) -> Any:
    interpreter: Any = SaliencyInterpreter.by_name(method)(predictor, **more)
    return interpreter.interpret_json(given)


def typed(kind: str) -> str:
    """A text with every special token of a tokenizer in it."""
    own = tokenizer_of(kind)
    return "a " + " film ".join(dict.fromkeys(own.all_special_tokens)) + " great"


KINDS_OF_TASKS: dict[str, tuple[str, ...]] = {
    "text-classification": tuple(KINDS),
    "token-classification": ("wordpiece", "bytes", "bare-bytes", "pieces", "pieces-bos"),
    "question-answering": ("wordpiece", "bytes", "bare-bytes", "pieces"),
    "multiple-choice": ("wordpiece", "bytes", "pieces"),
    "masked-lm": ("wordpiece", "bytes", "pieces"),
    "causal-lm": ("bare-bytes", "pieces-bos", "fallback"),
    "seq2seq": ("pieces-eos",),
}
QUICK = {
    ("wordpiece", "text-classification"),
    ("pieces-bos", "text-classification"),
    ("wordpiece", "token-classification"),
    ("bytes", "question-answering"),
    ("wordpiece", "multiple-choice"),
    ("pieces", "masked-lm"),
    ("bare-bytes", "causal-lm"),
    ("fallback", "causal-lm"),
    ("pieces-eos", "seq2seq"),
}
CASES = [
    pytest.param(kind, task, marks=[] if (kind, task) in QUICK else [pytest.mark.slow])
    for task, kinds in KINDS_OF_TASKS.items()
    for kind in kinds
]


def given_for(task: str, kind: str, text: str) -> dict[str, Any]:
    if task == "question-answering":
        return {"question": text, "passage": text}
    if task == "multiple-choice":
        return {"prompt": text, "choices": [text, "a"]}
    if task == "masked-lm":
        return {"sentence": f"{text} {tokenizer_of(kind).mask_token}"}
    if task == "causal-lm":
        return {"prompt": text, "max_new_tokens": 2}
    if task == "seq2seq":
        return {"source": text, "max_new_tokens": 2}
    return {"sentence": text}


def expected_ids(task: str, kind: str, given: dict[str, Any]) -> list[int]:
    """What the tokenizer itself makes of an input."""
    own = tokenizer_of(kind)
    texts = [value for value in given.values() if isinstance(value, str)]
    if task == "multiple-choice":
        texts.append(given["choices"][0])
    return own(*texts)["input_ids"]


@pytest.mark.parametrize(("kind", "task"), CASES)
class TestTexts:
    @pytest.mark.parametrize("text", [*SPOKEN.values(), "typed"], ids=[*SPOKEN, "special tokens"])
    def test_scores_stand_where_they_belong(self, kind: str, task: str, text: str) -> None:
        if text == "typed":
            text = typed(kind)
        given = given_for(task, kind, text)
        own = tokenizer_of(kind)
        explanations = explain(made(kind, task), given)
        assert explanations
        for explanation in explanations[:3]:
            read = [
                one
                for one in reversed(explanation.inputs)
                if one.field not in ("generated", "choices[1]")
            ]
            if task == "multiple-choice":
                read = [explanation.inputs[0], explanation.inputs[1]]
                assert [one.field for one in read] == ["prompt", "choices[0]"]
            # Nothing is rewritten: the tokens are the tokenizer's.
            names = own.convert_ids_to_tokens(expected_ids(task, kind, given))
            assert [token for one in read for token in one.tokens] == names
            for one in read:
                check_places(one, given, own)

    @pytest.mark.parametrize("text", [*SPOKEN.values(), "typed"], ids=[*SPOKEN, "special tokens"])
    def test_words_lose_nothing(self, kind: str, task: str, text: str) -> None:
        given = given_for(task, kind, typed(kind) if text == "typed" else text)
        tokens = explain(made(kind, task), given)
        words = explain(made(kind, task), given, granularity="word")
        assert len(tokens) == len(words)
        for one, other in zip(tokens[:3], words[:3], strict=True):
            for left, right in zip(one.inputs, other.inputs, strict=True):
                scale = 1 + sum(map(abs, left.attributions))
                assert sum(right.attributions) == pytest.approx(
                    sum(left.attributions), abs=1e-9 * scale
                )
                # No word twice, and none out of order.
                places = [span for span in right.offsets if span is not None]
                if left.field != "generated":
                    assert places == sorted(set(places))


def check_places(one: Any, given: dict[str, Any], own: Any) -> None:
    field, _, item = one.field.partition("[")
    text = given[field][int(item[:-1])] if item else given[field]
    assert len(one.tokens) == len(one.offsets) == len(one.attributions)
    assert all(map(math.isfinite, one.attributions))
    plain = own(text, add_special_tokens=False, return_offsets_mapping=True)
    expected = [_trimmed(text, *span) for span in plain["offset_mapping"]]
    # What the tokenizer adds stands nowhere; all else where the tokenizer says, spaces aside.
    assert [span for span in one.offsets if span is not None] == expected
    covered = {place for span in expected for place in range(*span)}
    # The tokenizer of BERT leaves accents and control characters out.
    left_out = ("Cf", "Cc", "Mn")
    unread = {p for p, c in enumerate(text) if c.isspace() or unicodedata.category(c) in left_out}
    assert covered | unread >= set(range(len(text)))
    for token, span in zip(one.tokens, one.offsets, strict=True):
        letters = token.removeprefix("##").lstrip("Ġ▁")
        if span is not None and letters.isascii() and letters.isalpha():
            shown = text[slice(*span)].casefold()
            assert shown == letters or not shown.isascii()


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    if not part.strip():
        return start, end
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "bare-bytes", "pieces", "pieces-bos"])
@pytest.mark.parametrize("text", [*SPOKEN.values(), "typed"], ids=[*SPOKEN, "special tokens"])
def test_scores_are_the_models_own(kind: str, text: str) -> None:
    """Position by position what differentiating the Hugging Face model by hand gives.

    It is run on ids: RoBERTa counts positions by them, and leaves out padding that was typed.
    """
    text = typed(kind) if text == "typed" else text
    own: Any = made(kind, "text-classification")._model.transformer
    ids = torch.tensor([tokenizer_of(kind)(text)["input_ids"]])
    vectors = own.get_input_embeddings()(ids).detach().requires_grad_()
    hook = own.get_input_embeddings().register_forward_hook(lambda *_: vectors.clone())
    try:
        logits = own(ids, attention_mask=torch.ones_like(ids)).logits[0]
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(logits.log_softmax(-1).max(), vectors)
    expected = (gradient * vectors).sum(-1)[0].tolist()
    (explanation,) = explain(made(kind, "text-classification"), {"sentence": text})
    assert explanation.inputs[0].attributions == pytest.approx(expected, abs=1e-5)


class TestSplitCharacters:
    @pytest.mark.parametrize("kind", ["bytes", "bare-bytes", "fallback"])
    def test_bytes_share_their_character_and_its_word(self, kind: str) -> None:
        given = {"sentence": "a 😀 great"}
        (tokens,) = explain(made(kind, "text-classification"), given)
        (words,) = explain(made(kind, "text-classification"), given, granularity="word")
        one, other = tokens.inputs[0], words.inputs[0]
        parts = [n for n, span in enumerate(one.offsets) if span == (2, 3)]
        assert len(parts) == len("😀".encode())
        assert other.offsets.count((2, 3)) == 1
        # The space before a word is part of it, where it is a token of its own.
        parts += [n for n, span in enumerate(one.offsets) if span == (1, 2)]
        whole = other.attributions[other.offsets.index((2, 3))]
        assert whole == pytest.approx(sum(one.attributions[n] for n in parts), abs=1e-9)
        assert other.tokens[other.offsets.index((2, 3))] == "😀"

    @pytest.mark.parametrize("kind", ["bare-bytes", "fallback"])
    def test_a_generated_character_in_parts(self, kind: str) -> None:
        given = {"prompt": "a", "continuation": " 😀!"}
        explanations = explain(made(kind, "causal-lm"), given)
        last = explanations[-1].inputs[0]
        spans = [span for span in last.offsets if span is not None and span != (0, 1)]
        assert spans.count((1, 2)) == len("😀".encode())


class TestEmptyAndShort:
    @pytest.mark.parametrize(
        ("kind", "task", "given"),
        [
            ("bare-bytes", "text-classification", {"sentence": ""}),
            ("bare-bytes", "token-classification", {"sentence": ""}),
            ("bare-bytes", "causal-lm", {"prompt": ""}),
        ],
    )
    def test_nothing_to_read(self, kind: str, task: str, given: dict[str, Any]) -> None:
        field = next(iter(given))
        with pytest.raises(InterpretationError, match=f"{field}.* has no tokens"):
            explain(made(kind, task), given)

    @pytest.mark.parametrize("kind", ["pieces-bos", "fallback"])
    def test_an_empty_prompt_after_a_start(self, kind: str) -> None:
        explanations = explain(made(kind, "causal-lm"), {"prompt": "", "max_new_tokens": 2})
        assert explanations[0].inputs[1].tokens == ["<s>"]
        assert explanations[0].inputs[1].offsets == [None]
        assert explanations[0].inputs[0].tokens == []

    @pytest.mark.parametrize(
        ("kind", "task", "given", "tokens"),
        [
            ("pieces-eos", "seq2seq", {"source": "", "max_new_tokens": 1}, ["</s>"]),
            ("wordpiece", "text-classification", {"sentence": ""}, ["[CLS]", "[SEP]"]),
            ("bytes", "text-classification", {"sentence": ""}, ["<s>", "</s>"]),
            ("pieces-eos", "text-classification", {"sentence": ""}, ["</s>"]),
            (
                "wordpiece",
                "question-answering",
                {"question": "", "passage": "a"},
                ["[CLS]", "[SEP]"],
            ),
            (
                "wordpiece",
                "multiple-choice",
                {"prompt": "", "choices": ["a", "in"]},
                ["[CLS]", "[SEP]"],
            ),
        ],
    )
    def test_only_what_the_tokenizer_adds(
        self, kind: str, task: str, given: dict[str, Any], tokens: list[str]
    ) -> None:
        (explanation,) = explain(made(kind, task), given)
        first = next(one for one in explanation.inputs if one.field in given)
        if task == "question-answering":
            first = explanation.inputs[1]
        assert first.tokens == tokens
        assert all(map(math.isfinite, first.attributions))

    @pytest.mark.parametrize("kind", ["bare-bytes", "pieces-bos", "fallback"])
    @pytest.mark.parametrize("method", ["input-x-gradient", "integrated-gradients", "attention"])
    def test_a_prompt_of_one_token(self, kind: str, method: str) -> None:
        own = tokenizer_of(kind)
        explanations = explain(
            made(kind, "causal-lm"), {"prompt": "a", "max_new_tokens": 2}, method
        )
        assert explanations
        for number, explanation in enumerate(explanations):
            generated, prompt = explanation.inputs
            assert prompt.tokens == own.convert_ids_to_tokens(own("a")["input_ids"])
            assert prompt.offsets[-1] == (0, 1)
            assert len(generated.tokens) == number
            if method == "attention":
                continue
            assert prompt.attributions[-1] != 0


class TestTypedSpecialTokens:
    @pytest.mark.parametrize("kind", KINDS)
    def test_typed_and_added(self, kind: str) -> None:
        own = tokenizer_of(kind)
        text = typed(kind)
        (explanation,) = explain(made(kind, "text-classification"), {"sentence": text})
        one = explanation.inputs[0]
        for token in own.all_special_tokens:
            places = [s for t, s in zip(one.tokens, one.offsets, strict=True) if t == token]
            inside = [span for span in places if span is not None]
            start = text.index(token)
            assert inside == [(start, start + len(token))]
            added = own("")["input_ids"].count(own.convert_tokens_to_ids(token))
            assert places.count(None) == added

    @pytest.mark.parametrize(
        ("kind", "end"), [("bare-bytes", "<|endoftext|>"), ("pieces-bos", "</s>")]
    )
    def test_a_typed_end_of_a_prompt_stays(self, kind: str, end: str) -> None:
        explanations = explain(made(kind, "causal-lm"), {"prompt": f"a {end}", "max_new_tokens": 1})
        prompt = explanations[0].inputs[1]
        assert prompt.tokens[-1] == end
        assert prompt.offsets[-1] == (2, 2 + len(end))

    def test_a_typed_mask_is_a_gap(self) -> None:
        given = {"sentence": "[MASK] great [MASK]"}
        explanations = explain(made("wordpiece", "masked-lm"), given)
        assert len(explanations) == 2


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("name", "kind", "task"),
    [
        ("bert", "wordpiece", "text-classification"),
        ("bert", "wordpiece", "token-classification"),
        ("roberta", "bytes", "question-answering"),
        ("albert", "pieces", "masked-lm"),
        ("bert", "wordpiece", "multiple-choice"),
        ("gpt2", "bare-bytes", "token-classification"),
        ("bart", "bytes", "seq2seq"),
        ("llama", "pieces-bos", "causal-lm"),
    ],
)
def test_padding_on_either_side(name: str, kind: str, task: str, side: str) -> None:
    own = copy.deepcopy(tokenizer(kind))
    own.padding_side = side
    padded = TransformersPredictor.from_pretrained(model(name, task), own)
    interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(padded, token_budget=10000)
    given = inputs(name, task)
    for one, explanations in zip(given, interpreter.interpret_batch_json(given), strict=True):
        alone = explain(predictor(name, task), one)
        assert len(alone) == len(explanations)
        for left, right in zip(explanations, alone, strict=True):
            for mine, other in zip(left.inputs, right.inputs, strict=True):
                assert mine.tokens == other.tokens
                assert mine.attributions == pytest.approx(other.attributions, abs=1e-5)
