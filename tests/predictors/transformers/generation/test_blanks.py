"""A continuation that begins without a blank, and what its explanation says of it."""

from __future__ import annotations

from typing import Any

import pytest
from allennlp.data.tokenizers import Token

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.predictors.transformers.generation.blanks import lacks_blank
from tests.zoo.task_models import predictor

BEGINS = "the continuation begins without a blank"


def warned(name: str, prompt: str, continuation: str, **more: Any) -> list[list[str]]:
    """Of each token what is said of a blank."""
    given = {"prompt": prompt, "continuation": continuation, **more}
    found = InputXGradient(predictor(name, "causal-lm")).interpret_json(given)
    return [[text for text in one.warnings if text.startswith(BEGINS)] for one in found]


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "gemma"])
def test_it_is_said_once_with_the_way_out(name: str) -> None:
    first, *others = warned(name, "the cast was", "good film")
    (text,) = first
    assert "so the model reads 'wasgood', which has other tokens" in text
    assert text.endswith("begin it with one: ' good film'")
    assert not any(others)
    assert not any(warned(name, "the cast was", " good film"))


@pytest.mark.parametrize("more", [{"explain": "span"}, {"hops": 1}])
def test_of_tokens_that_are_explained_together_too(more: dict[str, Any]) -> None:
    first, *_ = warned("gpt2", "the cast was", "good film", **more)
    assert len(first) == 1


@pytest.mark.parametrize(
    ("prompt", "continuation", "said"),
    [
        ("is it good? a:", "good", True),
        ("the cast was good.", "the film", True),
        ("the cast was ", "good", False),
        ("the cast was\n", "good", False),
        ("the cast was", ".", False),
        ("the cast was (", "good", False),
        ("the cast was 3.", "14", False),
        ("the cast was", "\u597d", False),
        ("\u6f14\u5458", "\u597d", False),
    ],
)
def test_where_a_word_of_its_own_may_be_meant(prompt: str, continuation: str, said: bool) -> None:
    assert any(warned("gpt2", prompt, continuation)) == said


def test_nothing_is_said_of_what_the_model_writes_itself() -> None:
    given = {"prompt": "the cast was", "max_new_tokens": 2}
    found = InputXGradient(predictor("gpt2", "causal-lm")).interpret_json(given)
    assert not [text for one in found for text in one.warnings if text.startswith(BEGINS)]


def test_nothing_is_said_behind_an_empty_prompt() -> None:
    """A tokenizer that begins texts with a token of its own takes one."""
    assert lacks_blank("", "good film", lambda text: [Token(text, text_id=len(text))]) is None
