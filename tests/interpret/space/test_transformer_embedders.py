"""Transformers of any kind: matched or not, folded, beside others, with several texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from allennlp.data import Instance
from allennlp.data.fields import TextField
from allennlp.data.token_indexers import (
    PretrainedTransformerMismatchedIndexer,
    SingleIdTokenIndexer,
    TokenCharactersIndexer,
)
from allennlp.data.tokenizers import Token
from allennlp.modules.seq2vec_encoders import CnnEncoder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import (
    Embedding,
    PretrainedTransformerMismatchedEmbedder,
    TokenCharactersEncoder,
)
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import IntegratedGradients, SmoothGradients
from tests.zoo.embedder_transformers import first_layer, transformer
from tests.zoo.transformers import spread
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    check_field,
    field_of,
    piece_ids,
    sums,
    word_ids,
)
from tests.zoo.unusual_models import (
    DIM,
    SPLIT,
    Awkward,
    AwkwardPredictor,
    explain,
    labeled,
    predictor_of,
    vocabulary,
)


@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bert", {}),
        ("roberta", {}),
        ("distilbert", {}),
        ("electra", {}),
        ("albert", {}),
        ("gpt2", {}),
        ("xlnet", {}),
        ("t5", {"sub_module": "encoder"}),
        ("deberta-v2", {}),
        ("bert", {"last_layer_only": False}),
        ("bert", {"train_parameters": False}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or None,
)
def test_any_transformer(
    folder: Callable[[str], str], name: str, options: dict[str, Any], mismatched: bool
) -> None:
    predictor = transformer(folder(name), mismatched, **options)
    (instance,) = labeled(predictor, {"tokens": SPLIT})
    calls = by_hand(predictor, instance, first_layer(predictor))
    found = field_of(explain(predictor, {"tokens": SPLIT}), "tokens")

    texts = [token.text for token in instance["tokens"].tokens]
    assert found.tokens == texts
    assert (found.tokens == SPLIT.split()) == mismatched
    ids = piece_ids(folder(name))
    spaced = (lambda word: ids(" " + word)) if mismatched and name in ("roberta", "gpt2") else ids
    check_field(found, calls, spaced)
    check_batch_equals_single(
        predictor, [{"tokens": SPLIT}, {"tokens": "good film"}, {"tokens": SPLIT + " it"}], 1e-4
    )


FOLDED = "the badly xkz filmgoers had not good plot and great actor of london"


@pytest.mark.parametrize("name", ["bert", "roberta", "xlnet"])
@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
@pytest.mark.parametrize("max_length", [3, 5, 8])
def test_folding(
    folder: Callable[[str], str], name: str, mismatched: bool, max_length: int
) -> None:
    """A text of several segments, of 3 tokens all full; the special tokens of each belong to no
    token."""
    predictor = transformer(folder(name), mismatched, max_length)
    (instance,) = labeled(predictor, {"tokens": FOLDED})
    (call,) = by_hand(predictor, instance, first_layer(predictor))
    segments = call.ids.shape[1 if name == "xlnet" else 0]
    assert segments >= 3

    found = field_of(explain(predictor, {"tokens": FOLDED}), "tokens")
    ids = piece_ids(folder(name))
    if mismatched and name == "roberta":
        check_field(found, [call], lambda word: ids(" " + word))
    elif mismatched:
        check_field(found, [call], ids)
    else:
        # [CLS] and [SEP] are tokens of the text and stand in every segment: once they count as
        # the text's, elsewhere as nobody's.
        inner = slice(1, -1)
        by_id = sums([call])
        texts = found.tokens[inner]
        pieces = [index for (index,) in map(ids, texts)]
        assert len(pieces) == len(set(pieces)), "the text repeats a wordpiece: choose another"
        wanted = [by_id[index] for index in pieces]
        assert found.attributions[inner] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        total = sum(found.attributions) + found.unassigned
        assert total == pytest.approx(sum(by_id.values()), rel=1e-4, abs=1e-6)
        flat = call.ids.T if name == "xlnet" else call.ids
        products = call.products.T if name == "xlnet" else call.products
        assert flat[0, 0] == ids(found.tokens[0])[0]
        assert found.attributions[0] == pytest.approx(float(products[0, 0]), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["bert", "xlnet"])
@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
def test_folded_and_unfolded_texts_share_a_batch(
    folder: Callable[[str], str], name: str, mismatched: bool
) -> None:
    predictor = transformer(folder(name), mismatched, max_length=8)
    texts = [FOLDED, "good", "the film was not good but badly", FOLDED + " scene", "great film"]
    check_batch_equals_single(predictor, [{"tokens": text} for text in texts], rel=1e-4)


def several(folder: str) -> Predictor:
    """BERT, a word embedding with a start and an end token, and a CNN over characters."""
    vocab = vocabulary()
    for token in ("@start@", "@end@"):
        vocab.add_token_to_namespace(token, "tokens")
    characters = TokenCharactersEncoder(
        Embedding(embedding_dim=4, vocab=vocab, vocab_namespace="token_characters"),
        CnnEncoder(embedding_dim=4, num_filters=3, ngram_filter_sizes=(2,)),
    )
    embedder = BasicTextFieldEmbedder(
        {
            "pieces": PretrainedTransformerMismatchedEmbedder(folder),
            "words": Embedding(embedding_dim=DIM, vocab=vocab),
            "letters": characters,
        }
    )
    indexers = {
        "letters": TokenCharactersIndexer(min_padding_length=3),
        "pieces": PretrainedTransformerMismatchedIndexer(folder),
        "words": SingleIdTokenIndexer(),
    }
    model = Awkward(vocab, embedder)
    for number, part in enumerate(
        (model.inner, model.head, embedder._token_embedders["words"], characters)
    ):
        spread(part, number)
    return predictor_of(model, indexers, seed=None)


def test_several_embedders_side_by_side(folder: Callable[[str], str]) -> None:
    """A token's score is the sum of what its wordpieces, its word and its characters do."""
    text = "the plot badly had not good film"
    predictor = several(folder("bert"))
    (instance,) = labeled(predictor, {"tokens": text})
    embedders = predictor._model.text_field_embedder._token_embedders
    by_piece = sums(by_hand(predictor, instance, first_layer(predictor, "pieces")))
    by_word = sums(by_hand(predictor, instance, embedders["words"]))
    (letters,) = by_hand(predictor, instance, embedders["letters"])

    found = field_of(explain(predictor, {"tokens": text}), "tokens")
    pieces, words = piece_ids(folder("bert")), word_ids(predictor)
    wanted = [
        sum(by_piece[index] for index in pieces(word)) + by_word[words(word)[0]] + float(score)
        for word, score in zip(found.tokens, letters.products[0], strict=True)
    ]
    assert found.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    total = sum(by_piece.values()) + sum(by_word.values()) + float(letters.products.sum())
    assert sum(found.attributions) + found.unassigned == pytest.approx(total, rel=1e-4)
    check_batch_equals_single(
        predictor, [{"tokens": text}, {"tokens": "good film"}, {"tokens": text + " it"}], 1e-4
    )


@pytest.mark.parametrize("mismatched", [False, True], ids=["matched", "mismatched"])
def test_several_text_fields(folder: Callable[[str], str], mismatched: bool) -> None:
    """Three fields, of different lengths, through one transformer."""
    predictor = transformer(folder("bert"), mismatched)
    texts = {"passage": SPLIT, "question": "was it good", "title": "plot"}
    (instance,) = labeled(predictor, texts)
    calls = by_hand(predictor, instance, first_layer(predictor))
    explanation = explain(predictor, texts)
    assert [one.field for one in explanation.inputs] == ["title", "question", "passage"]
    ids = piece_ids(folder("bert"))
    for name, call in zip(texts, calls, strict=True):
        check_field(field_of(explanation, name), [call], ids)
    check_batch_equals_single(
        predictor, [texts, dict(zip(texts, reversed(texts.values()), strict=True))], 1e-4
    )


class TokensPredictor(AwkwardPredictor):
    """Takes tokens as they are, empty ones too."""

    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        return Instance({"tokens": TextField([Token(text) for text in json_dict["tokens"]])})


@pytest.mark.parametrize("words", [["the", "", "badly", "good"], ["", "good"], ["good", ""], [""]])
def test_an_empty_token_in_a_mismatched_input(
    folder: Callable[[str], str], words: list[str]
) -> None:
    """AllenNLP issue 4612: the token has no wordpiece, so its score is zero."""
    predictor = transformer(folder("bert"), mismatched=True)
    predictor = TokensPredictor(predictor._model, predictor._dataset_reader)
    (instance,) = labeled(predictor, {"tokens": words})
    calls = by_hand(predictor, instance, first_layer(predictor))
    found = field_of(explain(predictor, {"tokens": words}), "tokens")
    assert found.tokens == words
    by_id, ids = sums(calls), piece_ids(folder("bert"))
    wanted = [sum(by_id[index] for index in ids(word)) if word else 0.0 for word in words]
    assert found.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert sum(found.attributions) + found.unassigned == pytest.approx(
        sum(by_id.values()), rel=1e-4, abs=1e-6
    )
    for interpreter in (IntegratedGradients(predictor), SmoothGradients(predictor)):
        scores = interpreter.saliency_interpret_from_json({"tokens": words})
        json.dumps(scores, allow_nan=False)
