"""Models that name the layers that embed their texts, and labels that choose among instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from allennlp.data import Instance
from allennlp.data.fields import LabelField
from allennlp.models import Model
from allennlp.predictors import Predictor, TextClassifierPredictor
from torch import nn

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.interpret.inputs.explained import Explained, explained, explained_by
from allennlp_saliency.interpret.inputs.labels import relabelled
from allennlp_saliency.interpret.interpreter.labels import predictor_labels as registry
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    PredictionLabels,
    labels_for,
)
from allennlp_saliency.interpret.model.embedding_layers import (
    EmbeddingLayer,
    EmbeddingLayers,
    find_embedding_layers,
    layers_of,
)
from allennlp_saliency.interpret.model.twin import Twin
from tests.zoo import Zoo

TEXT = {"sentence": "a great film"}


class OwnLayer(TextClassifierPredictor):
    def get_interpretable_layer(self) -> nn.Module:
        found: Any = self._model._text_field_embedder
        return found


def named(model: Any) -> EmbeddingLayers:
    """Names the layers of a model's text field embedder, as they would be found, and that."""
    embedder = model._text_field_embedder
    found = EmbeddingLayers((embedder,), tuple(layers_of(embedder)))
    model.text_layers = lambda: found
    return found


def test_a_model_may_name_its_layers(zoo: Zoo) -> None:
    twin = Twin(zoo.predictor("boe"))
    known = find_embedding_layers(twin)
    found = named(twin.model)
    assert find_embedding_layers(twin) is found
    assert found.layers == known.layers


def test_the_predictor_has_the_first_word(zoo: Zoo) -> None:
    made = zoo.predictor("boe")
    twin = Twin(OwnLayer(made._model, made._dataset_reader))
    named(twin.model)
    model: Any = twin.model
    assert find_embedding_layers(twin).layers == (EmbeddingLayer(model._text_field_embedder),)


class Either(TextClassifierPredictor):
    """A predictor that makes two instances of a text, of which one has the answer."""


class EitherLabels(PredictionLabels):
    def instances(self, predictor: Predictor, inputs: dict[str, Any]) -> list[Instance]:
        texts = (inputs["sentence"], f"{inputs['sentence']} and an awful plot")
        return [predictor._json_to_instance({"sentence": text}) for text in texts]

    def chosen(self, outputs: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        return [len(outputs) - 1]

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        return predictor.predictions_to_labeled_instances(instance, dict(outputs))


def test_labels_choose_among_the_instances(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_LABELS", dict(registry._LABELS))
    labels_for(f"{__name__}.Either")(EitherLabels)
    made = zoo.predictor("boe")
    predictor = Either(made._model, made._dataset_reader)
    (found,) = InputXGradient(predictor).interpret_json(TEXT)
    assert found.inputs[0].tokens[-2:] == ["awful", "plot"]


def test_another_label_has_its_own_name(zoo: Zoo) -> None:
    predictor = zoo.predictor("boe")
    model: Model = predictor._model
    first, second = sorted(model.vocab.get_token_to_index_vocabulary("labels"))[:2]
    label = {"label": first, "positions": [1]}
    instance = explained(
        predictor._json_to_instance(TEXT),
        Explained(label, label_field="label"),
        label=LabelField(first),
    )
    predictor._dataset_reader.apply_token_indexers(instance)
    instance.index_fields(model.vocab)
    other = explained_by(relabelled(instance, second, model))
    assert other is not None
    assert other.label == {"label": second, "positions": [1]}
    own = explained_by(instance)
    assert own is not None
    assert own.label == label
