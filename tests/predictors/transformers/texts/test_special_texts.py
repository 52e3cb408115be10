"""Empty texts, short ones, and typed special tokens through every kind of tokenizer."""

from __future__ import annotations

import math
from typing import Any

import pytest

from allennlp_saliency.interpret import InterpretationError
from tests.predictors.transformers.texts.every_tokenizer import (
    KINDS,
    explain,
    made,
    tokenizer_of,
    typed,
)


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
