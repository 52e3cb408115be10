"""Fields that are lists of texts: each text has the numbers that autograd gives by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.zoo.embedder_transformers import first_layer, transformer
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    piece_ids,
    sums,
    word_ids,
    words_layer,
)
from tests.zoo.unusual_models import awkward, explain, labeled

CHOICES = ["the plot was bad", "great", "not good but very awful film"]


@pytest.mark.parametrize("kind", ["words", "matched", "mismatched", "xlnet"])
def test_lists_of_texts(folder: Callable[[str], str], kind: str) -> None:
    if kind == "words":
        predictor = awkward(depths={"choices": 1})
        layer, ids = words_layer(predictor), word_ids(predictor)
    else:
        name = "xlnet" if kind == "xlnet" else "bert"
        predictor = transformer(folder(name), mismatched=kind != "matched")
        predictor._model.depths = {"choices": 1}
        layer, ids = first_layer(predictor), piece_ids(folder(name))
    (instance,) = labeled(predictor, {"choices": CHOICES})
    calls = by_hand(predictor, instance, layer)
    explanation = explain(predictor, {"choices": CHOICES})
    assert [one.field for one in explanation.inputs] == [f"choices[{i}]" for i in range(3)]
    assert [one.grad_input for one in explanation.inputs] == [
        f"grad_input_{i}" for i in range(1, 4)
    ]
    by_id = sums(calls)
    for one, text in zip(explanation.inputs, CHOICES, strict=True):
        inner = slice(1, -1) if kind == "matched" else slice(None)
        assert one.tokens[inner] == text.split()
        wanted = [by_id[index] for (index,) in map(ids, one.tokens[inner])]
        assert one.attributions[inner] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    total = sum(sum(one.attributions) + one.unassigned for one in explanation.inputs)
    assert total == pytest.approx(sum(by_id.values()), rel=1e-4)
    inputs = [{"choices": CHOICES}, {"choices": CHOICES[2:]}, {"choices": [*CHOICES, "i"]}]
    check_batch_equals_single(predictor, inputs, rel=1e-4)


def test_nested_lists_of_texts() -> None:
    predictor = awkward(depths={"turns": 2})
    nested = [["the plot", "was"], ["not bad at"], ["good", "film but it", "i"]]
    (instance,) = labeled(predictor, {"turns": nested})
    by_id = sums(by_hand(predictor, instance, words_layer(predictor)))
    explanation = explain(predictor, {"turns": nested})
    ids = word_ids(predictor)
    found = {one.field: one for one in explanation.inputs}
    assert len(found) == 6
    for i, texts in enumerate(nested):
        for j, text in enumerate(texts):
            one = found[f"turns[{i}][{j}]"]
            assert one.tokens == text.split()
            wanted = [by_id[ids(word)[0]] for word in text.split()]
            assert one.attributions == pytest.approx(wanted, rel=1e-4)
    check_batch_equals_single(
        predictor, [{"turns": nested}, {"turns": nested[:2]}, {"turns": [["great", "film"]]}], 1e-4
    )


def test_folded_lists_of_texts(folder: Callable[[str], str]) -> None:
    """Segments of items of a list."""
    predictor = transformer(folder("bert"), mismatched=True, max_length=5)
    predictor._model.depths = {"choices": 1}
    choices = ["the plot was not badly awful film", "great", "of good xkz"]
    (instance,) = labeled(predictor, {"choices": choices})
    by_id = sums(by_hand(predictor, instance, first_layer(predictor)))
    ids = piece_ids(folder("bert"))
    for one, text in zip(explain(predictor, {"choices": choices}).inputs, choices, strict=True):
        assert one.tokens == text.split()
        wanted = [sum(by_id[index] for index in ids(word)) for word in one.tokens]
        assert one.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    check_batch_equals_single(predictor, [{"choices": choices}, {"choices": choices[1:]}], rel=1e-4)
