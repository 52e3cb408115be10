"""Lists that models take apart in their own ways, and embedders that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from allennlp.data import Vocabulary
from allennlp.data.token_indexers import TokenCharactersIndexer
from allennlp.modules.conditional_random_field import ConditionalRandomField
from allennlp.modules.seq2vec_encoders import CnnEncoder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import (
    Embedding,
    TokenCharactersEncoder,
)
from allennlp.nn.util import get_text_field_mask
from torch import Tensor, nn

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from tests.zoo.taggers import tagger
from tests.zoo.transformers import spread
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    check_field,
    sums,
    table,
    word_ids,
)
from tests.zoo.unusual_models import (
    TEXT,
    Awkward,
    AwkwardPredictor,
    awkward,
    explain,
    labeled,
    predictor_of,
    vocabulary,
    words_embedder,
)

CHOICES = ["the plot was bad", "great", "not good but very awful film"]


class Flattens(Awkward):
    """Makes rows of the items itself, and gives the embedder those."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        ids = texts["choices"]["tokens"]["tokens"]
        flat = {"tokens": {"tokens": ids.view(-1, ids.shape[-1])}}
        items = self.pool(self.embed("choices", flat, 0), get_text_field_mask(flat))
        places = torch.arange(1, ids.shape[1] + 1).unsqueeze(-1)
        return (items.view(*ids.shape[:2], -1) * places).sum(1)


def check_choices(predictor: Any, choices: list[str]) -> None:
    (instance,) = labeled(predictor, {"choices": choices})
    by_id = sums(by_hand(predictor, instance, table(predictor)))
    ids = word_ids(predictor)
    for one, text in zip(explain(predictor, {"choices": choices}).inputs, choices, strict=True):
        assert one.tokens == text.split()
        wanted = [by_id[ids(word)[0]] for word in one.tokens]
        assert one.attributions == pytest.approx(wanted, rel=1e-4, abs=1e-7)


def test_lists_that_the_model_flattens() -> None:
    predictor = awkward(Flattens)
    check_choices(predictor, CHOICES)
    inputs = [{"choices": CHOICES}, {"choices": CHOICES[:2]}, {"choices": CHOICES[2:]}]
    check_batch_equals_single(predictor, inputs, rel=1e-4)


class DropsPadding(Awkward):
    """Embeds the items that are there, and no others."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        ids = texts["choices"]["tokens"]["tokens"]
        there = (ids > 0).any(-1)
        flat = {"tokens": {"tokens": ids[there]}}
        items = self.pool(self.embed("choices", flat, 0), get_text_field_mask(flat))
        summed = items.new_zeros(len(ids), items.shape[-1])
        return summed.index_add(0, there.nonzero()[:, 0], items)


@pytest.mark.parametrize("other", [["i", "we had it but not so"], ["it was so"], ["a", "of", "it"]])
def test_lists_whose_padding_the_model_drops(other: list[str]) -> None:
    """Alone an instance has no padding; together with others it cannot be told apart."""
    predictor = awkward(DropsPadding)
    check_choices(predictor, CHOICES)
    check_batch_equals_single(predictor, [{"choices": CHOICES}, {"choices": other}], rel=1e-4)


class CharacterLayer(AwkwardPredictor):
    """Wants scores at the embeddings of characters."""

    def get_interpretable_layer(self) -> nn.Module:
        return self._model.text_field_embedder._token_embedders["tokens"]._embedding._module


def test_a_layer_with_several_positions_per_token() -> None:
    """Whose positions are not those of tokens: better an error than scores beside their tokens."""
    vocab = vocabulary()
    characters = TokenCharactersEncoder(
        Embedding(embedding_dim=4, vocab=vocab, vocab_namespace="token_characters"),
        CnnEncoder(embedding_dim=4, num_filters=3, ngram_filter_sizes=(2,)),
    )
    predictor = predictor_of(
        Awkward(vocab, BasicTextFieldEmbedder({"tokens": characters})),
        {"tokens": TokenCharactersIndexer(min_padding_length=3)},
        predictor=CharacterLayer,
    )
    with pytest.raises(InterpretationError, match="get_interpretable_layer"):
        explain(predictor, {"tokens": TEXT})


class TwoEmbedders(Awkward):
    """A text field embedder for each of two fields."""

    def __init__(self, vocab: Vocabulary, embedder: Any, **options: Any) -> None:
        super().__init__(vocab, embedder, **options)
        self.other_embedder = words_embedder(vocab)

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        if name == "other":
            return self.other_embedder(tensors, num_wrapping_dims=depth)
        return super().embed(name, tensors, depth)


class NamesTheOther(AwkwardPredictor):
    def get_interpretable_text_field_embedder(self) -> nn.Module:
        return self._model.other_embedder


def test_two_text_field_embedders() -> None:
    """Both count, unless the predictor names one."""
    both = awkward(TwoEmbedders)
    other = NamesTheOther(both._model, both._dataset_reader)
    texts = {"one": TEXT, "other": "great film"}
    (instance,) = labeled(both, texts)
    embedders = {"one": both._model.text_field_embedder, "other": both._model.other_embedder}
    for predictor, names in ((both, {"one", "other"}), (other, {"other"})):
        explanation = explain(predictor, texts)
        assert {one.field for one in explanation.inputs} == names
        for one in explanation.inputs:
            layer = embedders[one.field]._token_embedders["tokens"]
            check_field(one, by_hand(predictor, instance, layer), word_ids(predictor))


def test_a_conditional_random_field() -> None:
    """The loss is a sum over the batch, of no row's cross entropy."""
    predictor = tagger({"john": "B-PER", "smith": "I-PER", "paris": "B-LOC", "mary": "B-PER"})
    model = predictor._model
    plain = model.forward
    crf = ConditionalRandomField(5, include_start_end_transitions=True)
    spread(crf, 3)
    model.crf = crf

    class Crf(type(model)):  # type: ignore[misc]
        def forward(  # type: ignore[override]
            self, tokens: Any, tags: Any = None, ignore_loss_on_o_tags: bool = False, **rest: Any
        ) -> dict[str, Any]:
            outputs = plain.__func__(self, tokens, None)
            if tags is not None:
                outputs["loss"] = -self.crf(outputs["logits"], tags, outputs["mask"])
            return outputs

    model.__class__ = Crf
    for text in ("john smith lives in paris", "mary", "it was john"):
        explanations = InputXGradient(predictor).interpret_json({"sentence": text})
        instance = predictor._json_to_instance({"sentence": text})
        tags = predictor.predict_json({"sentence": text})["tags"]
        for one in explanations:
            explained = one.target["positions"]
            only = [tag if i in explained else "O" for i, tag in enumerate(tags)]
            indices = torch.tensor([[model.vocab.get_token_index(tag, "labels") for tag in only]])

            def target(outputs: Mapping[str, Tensor], indices: Tensor = indices) -> Tensor:
                return model.crf(outputs["logits"], indices, outputs["mask"])

            calls = by_hand(predictor, instance, table(predictor), target)
            check_field(one.inputs[0], calls, word_ids(predictor))
    texts = ["john smith lives in paris", "mary", "it was john", "mary at paris but john smith"]
    check_batch_equals_single(predictor, [{"sentence": text} for text in texts], rel=1e-4)
