"""Labels that belong to a token say which."""

from __future__ import annotations

from typing import Any

import pytest

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import model, tokenizer

NO_OUTSIDE = {"id2label": {0: "DET", 1: "NOUN"}, "label2id": {"DET": 0, "NOUN": 1}}
SENTENCE = "mary lives in paris, not in london"


def explain(task: str, sentence: str, loading: Any = None, **method: Any) -> Any:
    config = NO_OUTSIDE if task == "token-classification" else {}
    made = TransformersPredictor.from_pretrained(
        model("bert", task, **config), tokenizer("wordpiece"), **(loading or {})
    )
    return InputXGradient(made, **method).interpret_json({"sentence": sentence})


@pytest.mark.parametrize("loading", [{}, {"overlong": "window", "max_length": 7}])
def test_words_of_a_tagger_without_outside(loading: Any) -> None:
    explained = explain("token-classification", SENTENCE, loading)
    found = []
    for one in explained:
        (place,) = one.target["positions"]
        (text,) = one.inputs
        found.append(text.offsets[place][0])
    starts = [0, *(n for n in range(1, len(SENTENCE)) if SENTENCE[n - 1] == " ")]
    assert set(starts) <= set(found)
    assert found == sorted(set(found))


@pytest.mark.parametrize("loading", [{}, {"overlong": "window", "max_length": 6}])
def test_gaps(loading: Any) -> None:
    explained = explain("masked-lm", "a [MASK] film was very [MASK] !", loading)
    assert len(explained) == 2
    masked = [n for n, token in enumerate(explained[0].inputs[0].tokens) if token == "[MASK]"]
    assert [one.target["positions"] for one in explained] == [[place] for place in masked]
    assert all("field" not in one.target for one in explained)


def test_words_are_counted_where_words_have_scores() -> None:
    explained = explain("masked-lm", "unbelievable [MASK] film", granularity="word")
    (one,) = explained
    (place,) = one.target["positions"]
    assert "[MASK]" in one.inputs[0].tokens[place]
