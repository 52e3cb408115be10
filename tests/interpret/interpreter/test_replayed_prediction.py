"""Predictions out of known outputs: the predictor's own, without another pass where that is so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allennlp.data import Instance
from allennlp.predictors import Predictor, TextClassifierPredictor

from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    replayed_prediction,
    without_explained,
)
from tests.zoo import Zoo

TEXT = {"sentence": "a great film"}


class Shouting(TextClassifierPredictor):
    """Changes what the model returned."""

    def predict_instance(self, instance: Instance) -> dict[str, Any]:
        self._dataset_reader.apply_token_indexers(instance)
        outputs = self._model.forward_on_instance(instance)
        outputs["label"] = outputs.pop("label").upper()
        return {key: outputs[key] for key in ("label",)}


class Negating(TextClassifierPredictor):
    """Looks at another text first."""

    def predict_json(self, inputs: dict[str, Any]) -> dict[str, Any]:
        negated = super().predict_json({"sentence": f"not {inputs['sentence']}"})
        return {"negated": negated["probs"], **super().predict_json(inputs)}


@pytest.fixture
def passes(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Grows by one at each forward pass of the model."""
    seen: list[int] = []
    model = zoo.predictor("boe")._model
    hook = model.register_forward_pre_hook(lambda module, given: seen.append(1))
    yield seen
    hook.remove()


@pytest.mark.parametrize(
    ("kind", "more"), [(TextClassifierPredictor, 0), (Shouting, 0), (Negating, 1)]
)
def test_as_the_predictor_itself(
    zoo: Zoo, passes: list[int], kind: type[Predictor], more: int
) -> None:
    made = zoo.predictor("boe")
    predictor = kind(made._model, made._dataset_reader)
    expected = predictor.predict_json(dict(TEXT))
    instance = predictor._json_to_instance(dict(TEXT))
    predictor._dataset_reader.apply_token_indexers(instance)
    outputs = predictor._model.forward_on_instance(instance)
    passes.clear()
    found = replayed_prediction(predictor, dict(TEXT), [instance], [outputs])
    assert found == expected
    assert len(passes) == more
    # What was replayed stays whole.
    assert "label" in outputs


def test_what_is_there_for_explanations_alone_is_left_out() -> None:
    assert without_explained({"label": "a", "explained_scores": [1]}) == {"label": "a"}
