"""Faults of AllenNLP 2.10.1's interpreters with several embedders, fields and lists."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from allennlp.data.token_indexers import (
    PretrainedTransformerMismatchedIndexer,
    SingleIdTokenIndexer,
)
from allennlp.interpret.saliency_interpreters import (
    IntegratedGradient,
    SimpleGradient,
)
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import (
    Embedding,
    PretrainedTransformerMismatchedEmbedder,
)
from torch import Tensor

from allennlp_saliency.interpret import (
    InputXGradient,
    IntegratedGradients,
    SmoothGradients,
)
from tests.interpret.allennlp_faults import (
    Linear,
    linear_scores,
    mismatched,
    ours,
    per_word,
    shares,
    table,
    theirs,
    word_table,
)
from tests.zoo.unusual_checks import by_hand, check_field, field_of, piece_ids, sums, word_ids
from tests.zoo.unusual_models import (
    DIM,
    TEXT,
    Awkward,
    awkward,
    explain,
    labeled,
    predictor_of,
    vocabulary,
)


class ReadsWords(Awkward):
    """Has BERT at hand and reads the other half of its embeddings."""

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        embedded = super().embed(name, tensors, depth)
        return torch.cat([embedded[..., :16] * 0, embedded[..., 16:]], dim=-1)


def test_all_embedders_of_a_token_count(bert: str) -> None:
    """(6) AllenNLP attributes to BERT alone; of a model that reads the other part it makes NaN."""
    vocab = vocabulary()
    embedder = BasicTextFieldEmbedder(
        {
            "pieces": PretrainedTransformerMismatchedEmbedder(bert),
            "words": Embedding(embedding_dim=DIM, vocab=vocab),
        }
    )
    indexers = {
        "pieces": PretrainedTransformerMismatchedIndexer(bert),
        "words": SingleIdTokenIndexer(),
    }
    predictor = predictor_of(ReadsWords(vocab, embedder), indexers)
    scores = theirs(SimpleGradient, predictor, {"tokens": TEXT})["grad_input_1"]
    assert all(map(math.isnan, scores))
    (instance,) = labeled(predictor, {"tokens": TEXT})
    calls = by_hand(predictor, instance, embedder._token_embedders["words"])
    check_field(explain(predictor, {"tokens": TEXT}).inputs[0], calls, word_ids(predictor))


def test_offsets_belong_to_their_field(bert: str) -> None:
    """(7) AllenNLP takes offsets first in, first out, and gradients last in, first out."""
    predictor = mismatched(bert)
    texts = {"premise": "badly xkz the", "hypothesis": "was filmgoers not in it"}
    # The hypothesis, last in, gets the three offsets of the premise.
    grads, _ = predictor.get_gradients(labeled(predictor, texts))
    assert [grads[f"grad_input_{number}"].shape[1] for number in (1, 2)] == [3, 5]
    (instance,) = labeled(predictor, texts)
    premise, hypothesis = by_hand(predictor, instance, word_table(predictor))
    explanation = explain(predictor, texts)
    check_field(field_of(explanation, "premise"), [premise], piece_ids(bert))
    check_field(field_of(explanation, "hypothesis"), [hypothesis], piece_ids(bert))
    assert {k: len(v) for k, v in ours(predictor, texts).items()} == {
        "grad_input_1": 5,
        "grad_input_2": 3,
    }


def test_more_than_nine_inputs() -> None:
    """(8) AllenNLP reads the last digit of `grad_input_10` and pairs it with input 0."""
    predictor = awkward(Linear)
    pairs = "the plot/was not/bad but/good film/actor of/a scene/and awful/mary john/in paris/at i"
    texts = {f"text{number:02}": text for number, text in enumerate(pairs.split("/"))}
    texts["text10"] = "it we"
    wanted = list(linear_scores(predictor, texts).values())[::-1]
    for number, scores in enumerate(wanted, start=1):
        found = ours(predictor, texts)[f"grad_input_{number}"]
        assert found == pytest.approx(shares(scores), rel=1e-4)
    explanation = explain(predictor, texts)
    assert [one.field for one in explanation.inputs] == sorted(texts, reverse=True)
    assert explanation.inputs[9].grad_input == "grad_input_10"
    # Theirs, of the first token's embedding alone (defect 1), would all be 1/2, even so.
    theirs_too = theirs(SimpleGradient, predictor, texts)["grad_input_10"]
    assert theirs_too != pytest.approx(shares(wanted[9]), abs=0.01)


class FirstOnly(Linear):
    """Embeds two fields and reads one."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        read = [self.embed(*item, 0).sum(1) for item in texts.items()]
        return read[0] + 0 * read[0]


def test_a_field_that_does_not_reach_the_loss() -> None:
    """(9) AllenNLP pairs another field's embedding with the gradient that there is, or raises."""
    predictor = awkward(FirstOnly)
    texts = {"heard": "the plot was good", "unheard": "not film"}
    assert set(theirs(SimpleGradient, predictor, texts)) == {"grad_input_1"}
    with pytest.raises((ValueError, KeyError)):
        theirs(IntegratedGradient, predictor, texts)
    wanted = linear_scores(predictor, {"heard": texts["heard"]})["heard"]
    for method in (InputXGradient, IntegratedGradients, SmoothGradients):
        (explanation,) = method(predictor).interpret_json(texts)
        assert field_of(explanation, "unheard").attributions == [0, 0]
        assert any("'unheard'" in warning for warning in explanation.warnings)
    found = ours(predictor, texts)
    assert found["grad_input_1"] == [0, 0]
    assert found["grad_input_2"] == pytest.approx(shares(wanted), rel=1e-4)


def test_folded_texts_have_all_their_scores(bert: str) -> None:
    """(10) AllenNLP returns the scores of the first segment, or zeros for the words behind it."""
    predictor = mismatched(bert, max_length=6)
    text = "the badly plot had not good film and great actor of london"
    wanted = per_word(predictor, {"tokens": text}, bert)
    scores = theirs(SimpleGradient, predictor, {"tokens": text})["grad_input_1"]
    assert scores[4:] == [0] * 8
    found = field_of(explain(predictor, {"tokens": text}), "tokens").attributions
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert len(found) == 12
    assert all(found)


def test_lists_of_texts_have_scores_per_item() -> None:
    """(11) AllenNLP issue 5300: a TypeError, or the first item alone."""
    predictor = awkward(depths={"choices": 1})
    choices = ["the plot was bad", "great", "not good film"]
    scores = theirs(SimpleGradient, predictor, {"choices": choices})
    assert [len(one) for one in scores.values()] == [4]
    (instance,) = labeled(predictor, {"choices": choices})
    by_id = sums(by_hand(predictor, instance, table(predictor)))
    explanation = explain(predictor, {"choices": choices})
    for one, text in zip(explanation.inputs, choices, strict=True):
        assert one.tokens == text.split()
        wanted = [by_id[word_ids(predictor)(word)[0]] for word in text.split()]
        assert one.attributions == pytest.approx(wanted, rel=1e-4)
