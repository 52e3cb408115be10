"""Awkward texts through every kind of tokenizer and every task: scores stand where they belong."""

from __future__ import annotations

import copy
import math
import unicodedata
from typing import Any

import pytest
import torch

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from tests.predictors.transformers.texts.every_tokenizer import (
    KINDS,
    explain,
    made,
    tokenizer_of,
    typed,
)
from tests.zoo.task_models import inputs, model, predictor, tokenizer

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
