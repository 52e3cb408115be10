"""Inputs as they come: two texts in a field, fields without tokens, numbers beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from allennlp.data import Instance
from allennlp.data.fields import MetadataField, TensorField, TextField, TransformerTextField
from allennlp.data.token_indexers import PretrainedTransformerIndexer
from allennlp.data.tokenizers import PretrainedTransformerTokenizer
from allennlp.models import Model
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import (
    PretrainedTransformerEmbedder,
)
from torch import Tensor, nn

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients, InterpretationError
from tests.zoo import LABELS
from tests.zoo.transformers import spread
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    check_field,
    field_of,
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


class PairPredictor(AwkwardPredictor):
    """Two texts in one field, as transformers take them."""

    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        tokenizer = self._dataset_reader.tokenizer
        both = [tokenizer.tokenize(json_dict[key]) for key in ("premise", "hypothesis")]
        return Instance({"tokens": TextField(tokenizer.add_special_tokens(*both))})


def test_two_texts_in_one_field(bert: str) -> None:
    """Type ids tell them apart; special tokens are tokens of the field."""
    embedder = BasicTextFieldEmbedder({"tokens": PretrainedTransformerEmbedder(bert)})
    model = Awkward(vocabulary(), embedder)
    for number, part in enumerate((model.inner, model.head)):
        spread(part, number)
    predictor = predictor_of(
        model,
        {"tokens": PretrainedTransformerIndexer(bert)},
        PretrainedTransformerTokenizer(bert, add_special_tokens=False),
        PairPredictor,
        seed=None,
    )
    texts = {"premise": "the plot was bad", "hypothesis": "not badly good"}
    (instance,) = labeled(predictor, texts)
    words = embedder._token_embedders["tokens"].transformer_model.embeddings.word_embeddings
    (call,) = by_hand(predictor, instance, words)
    found = field_of(explain(predictor, texts), "tokens")
    assert found.tokens.count("[SEP]") == 2
    assert found.attributions == pytest.approx(call.products[0].tolist(), rel=1e-4, abs=1e-6)
    assert found.unassigned == 0
    swapped = dict(zip(texts, reversed(texts.values()), strict=True))
    check_batch_equals_single(predictor, [texts, swapped, {**texts, "premise": "i"}], rel=1e-4)


class TransformerField(AwkwardPredictor):
    """Makes a field of numbers, without tokens."""

    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        ids = self._dataset_reader.tokenizer.tokenizer(json_dict["text"])["input_ids"]
        mask = torch.ones(len(ids), dtype=torch.bool)
        return Instance({"text": TransformerTextField(torch.tensor(ids), attention_mask=mask)})

    def get_interpretable_layer(self) -> nn.Module:
        return self._model.backbone.embeddings.word_embeddings


class ReadsNumbers(Model):
    def __init__(self, folder: str) -> None:
        super().__init__(vocabulary())
        from transformers import AutoModel

        self.backbone = AutoModel.from_pretrained(folder)
        self.head = nn.Linear(16, len(LABELS))
        spread(self.head, 1)

    def forward(self, text: Any, label: Tensor | None = None) -> dict[str, Tensor]:
        hidden = self.backbone(**text).last_hidden_state
        outputs = {"logits": self.head(hidden[:, 0])}
        if label is not None:
            outputs["loss"] = nn.functional.cross_entropy(outputs["logits"], label)
        return outputs


def test_a_field_without_tokens(bert: str) -> None:
    """Scores need tokens to belong to: an explanation without any would look like success."""
    tokenizer = PretrainedTransformerTokenizer(bert)
    predictor = predictor_of(
        ReadsNumbers(bert), tokenizer=tokenizer, predictor=TransformerField, seed=None
    )
    with pytest.raises(InterpretationError, match=r"'text'.*TextField"):
        explain(predictor, {"text": "good film"})


class Stacked(Awkward):
    """Embeds two texts in one go, one below the other."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        ids = [tensors["tokens"]["tokens"] for tensors in texts.values()]
        width = max(one.shape[1] for one in ids)
        ids = [nn.functional.pad(one, (0, width - one.shape[1])) for one in ids]
        both = {"tokens": {"tokens": torch.cat(ids)}}
        return self.read("both", both).view(len(ids), -1, 6).sum(0)


def test_fields_stacked_along_the_batch() -> None:
    predictor = awkward(Stacked)
    with pytest.raises(InterpretationError, match="none of the tensors of the text fields"):
        explain(predictor, {"one": TEXT, "other": "film"})


class WithExtras(Awkward):
    """Reads numbers and plain objects beside the text."""

    def forward(  # type: ignore[override]
        self, tokens: Any, weights: Tensor, metadata: list[Any], label: Tensor | None = None
    ) -> dict[str, Tensor]:
        shift = weights.new_tensor([[len(one["words"])] for one in metadata])
        logits = self.head(self.summary({"tokens": tokens}) * weights.sum(1, keepdim=True) / shift)
        outputs = {"logits": logits}
        if label is not None:
            outputs["loss"] = self.loss(logits, label)
        return outputs


class WithExtrasPredictor(AwkwardPredictor):
    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        instance = super()._json_to_instance({"tokens": json_dict["tokens"]})
        words = json_dict["tokens"].split()
        instance.add_field("metadata", MetadataField({"words": words}))
        instance.add_field("weights", TensorField(torch.tensor([1.0, json_dict["weight"]])))
        return instance


def test_rows_keep_their_numbers_and_objects() -> None:
    vocab = vocabulary()
    predictor = predictor_of(
        WithExtras(vocab, words_embedder(vocab)), predictor=WithExtrasPredictor
    )
    inputs = [
        {"tokens": text, "weight": weight}
        for text, weight in [(TEXT, 2.0), ("great film", -3.0), ("it was bad", 0.5)]
    ]
    check_batch_equals_single(predictor, inputs, rel=1e-4)
    packed = IntegratedGradients(predictor, steps=64).interpret_batch_json(inputs)
    for text, (explanation,) in zip(inputs, packed, strict=True):
        (instance,) = labeled(predictor, text)
        calls = by_hand(predictor, instance, table(predictor))
        check_field(explain(predictor, text).inputs[0], calls, word_ids(predictor))
        assert abs(explanation.convergence_delta) < 1e-3


def test_empty_texts() -> None:
    """One of two fields has no token: it gets no score, the other its own."""
    predictor = awkward()
    texts = {"one": TEXT, "other": ""}
    explanation = explain(predictor, texts)
    (instance,) = labeled(predictor, texts)
    calls = by_hand(predictor, instance, table(predictor))
    assert field_of(explanation, "other").attributions == []
    check_field(field_of(explanation, "one"), calls[:1], word_ids(predictor))
    swapped = dict(zip(texts, reversed(texts.values()), strict=True))
    check_batch_equals_single(predictor, [texts, swapped], rel=1e-4)
    scores = InputXGradient(predictor).saliency_interpret_from_json(texts)["instance_1"]
    assert scores["grad_input_1"] == []
    assert sum(scores["grad_input_2"]) == pytest.approx(1)
