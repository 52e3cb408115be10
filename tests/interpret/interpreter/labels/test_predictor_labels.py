"""Labels that are registered for a predictor's class, in the place of the predictor's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from allennlp.data import Instance
from allennlp.models import Model
from allennlp.predictors import Predictor, TextClassifierPredictor

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients
from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained
from allennlp_saliency.interpret.interpreter.labels import predictor_labels as registry
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    Forward,
    PredictionLabels,
    labels_for,
    labels_of,
)
from tests.zoo import Zoo

TEXT = {"sentence": "a great film"}


class EachClass(TextClassifierPredictor):
    """A predictor whose every class is a prediction to explain."""


class Own(EachClass):
    """One that labels its instances itself, as before."""

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: dict[str, Any]
    ) -> list[Instance]:
        return super().predictions_to_labeled_instances(instance, outputs)


class ClassLabels(PredictionLabels):
    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        count = len(outputs["probs"])
        return [explained(instance, Explained({"label": str(n)}, n)) for n in range(count)]

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        outputs = run(**inputs)
        if what is not None:
            classes = torch.tensor([one.choice for one in what]).unsqueeze(1)
            chosen = outputs["logits"].log_softmax(-1).gather(1, classes)
            outputs[LOG_LIKELIHOOD] = chosen.squeeze(1)
        return outputs


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_LABELS", dict(registry._LABELS))
    labels_for(f"{__name__}.EachClass")(ClassLabels)


def predictor_of(zoo: Zoo, kind: type[Predictor]) -> Predictor:
    made = zoo.predictor("boe")
    return kind(made._model, made._dataset_reader)


def test_each_prediction_has_an_explanation_of_its_own_number(zoo: Zoo, registered: None) -> None:
    predictor = predictor_of(zoo, EachClass)
    (found,) = IntegratedGradients(predictor).interpret_each([TEXT], predict=True)
    assert found.error is None
    probabilities = predictor.predict_json(TEXT)["probs"]
    assert found.prediction == predictor.predict_json(TEXT)
    for number, (one, probability) in enumerate(
        zip(found.explanations, probabilities, strict=True)
    ):
        assert one.target["label"] == str(number)
        assert one.target["value"] == pytest.approx(torch.tensor(probability).log().item())
        due = one.target["value"] - one.target["baseline_value"]
        assert one.convergence_delta is not None
        assert abs(one.convergence_delta) <= 0.01 * abs(due)


def test_instances_of_a_reader_are_labelled_too(zoo: Zoo, registered: None) -> None:
    predictor = predictor_of(zoo, EachClass)
    instance = predictor._json_to_instance(TEXT)
    interpreter = InputXGradient(predictor)
    (found,) = interpreter.interpret_each_instance([instance])
    assert found.error is None
    expected = interpreter.interpret_json(TEXT)
    for one, other in zip(found.explanations, expected, strict=True):
        # An instance does not have the text as it was written.
        assert one.inputs == [replace(text, text=None) for text in other.inputs]


def test_a_subclass_that_labels_keeps_its_way(zoo: Zoo, registered: None) -> None:
    assert isinstance(labels_of(predictor_of(zoo, EachClass)), ClassLabels)
    assert labels_of(predictor_of(zoo, Own)) is None


def test_the_users_model_is_untouched(zoo: Zoo, registered: None) -> None:
    predictor = predictor_of(zoo, EachClass)
    InputXGradient(predictor).interpret_json(TEXT)
    assert "forward" not in vars(predictor._model)


class Twice(EachClass):
    """One that predicts another text, too, and adds to its output."""

    def predict_json(self, inputs: dict[str, Any]) -> dict[str, Any]:
        other = super().predict_json({"sentence": f"not {inputs['sentence']}"})
        return {**super().predict_json(inputs), "negated": other["probs"]}


def test_a_prediction_is_the_predictors_own(zoo: Zoo, registered: None) -> None:
    predictor = predictor_of(zoo, Twice)
    (found,) = InputXGradient(predictor).interpret_each([TEXT], predict=True)
    assert found.prediction == predictor.predict_json(TEXT)
    assert found.prediction["negated"] != found.prediction["probs"]


def test_the_model_predicts_once(
    zoo: Zoo, registered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = predictor_of(zoo, EachClass)
    passes: list[int] = []
    original = type(predictor._model).forward

    def counted(self: Model, **inputs: Any) -> Any:
        passes.append(1)
        return original(self, **inputs)

    monkeypatch.setattr(type(predictor._model), "forward", counted)
    (found,) = InputXGradient(predictor).interpret_each([TEXT], predict=True)
    assert found.error is None
    # One that predicts, one that explains.
    assert len(passes) == 2


class Noting(EachClass):
    """One that has something to say about its explanations."""

    def explanation_details(self, instance: Instance) -> dict[str, Any]:
        return {"words": len(instance["tokens"])}  # type: ignore[arg-type]


def test_details_of_the_predictor_are_kept(zoo: Zoo, registered: None) -> None:
    predictor = predictor_of(zoo, Noting)
    for one in InputXGradient(predictor).interpret_json(TEXT):
        assert one.details["words"] == 3
