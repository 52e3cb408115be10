"""What was computed for the prediction serves the explanation, and changes nothing in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor
from torch import nn
from transformers import BertForSequenceClassification

from allennlp_saliency.interpret import (
    Gradient,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.interpreter import run as base
from allennlp_saliency.interpret.model.embedding_layers import (
    EmbeddingLayers,
    find_embedding_layers,
)
from allennlp_saliency.interpret.model.prediction_cache import PredictionCache
from allennlp_saliency.interpret.model.twin import Twin
from allennlp_saliency.interpret.space.recording import Recording
from benchmarks.workloads import FIXTURES, TINY, predictor, sentences
from tests.zoo import task_models as transformers


class Counting:
    """How many rows went through the transformers, call by call, wherever they are copied to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from transformers import BertModel

        self.rows: list[int] = []
        original = BertModel.forward

        def forward(model: BertModel, *args: object, **kwargs: object) -> object:
            ids = next(a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor))
            self.rows.append(len(ids))
            return original(model, *args, **kwargs)

        monkeypatch.setattr(BertModel, "forward", forward)


def forgetful(layers: EmbeddingLayers, backbone: nn.Module, positions: int) -> PredictionCache:
    return PredictionCache(layers, backbone, 0)


def test_a_text_goes_through_the_model_once_before_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(monkeypatch)
    IntegratedGradients(predictor(TINY, "cpu"), steps=5, rule="left").interpret_json(
        sentences([9])[0]
    )
    assert counting.rows == [1, 5]


def test_texts_that_share_a_batch_are_recorded_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(monkeypatch)
    # At a zero baseline it is looked once why so few points do not suffice.
    interpreter = IntegratedGradients(predictor(TINY, "cpu"), steps=5, rule="left", baseline="pad")
    for lengths in ([20, 20], [20, 19]):
        counting.rows.clear()
        interpreter.interpret_batch_json(sentences(lengths))
        assert counting.rows == [1, 1, 2, 10]


def test_of_one_text_the_graph_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    interpreter = Gradient(predictor(TINY, "cpu"))
    interpreter.interpret_json(sentences([9])[0])
    assert counting.rows == [1]
    counting.rows.clear()
    interpreter.interpret_batch_json(sentences([9, 9]))
    assert counting.rows == [1, 1, 2]


def test_of_a_text_beyond_the_budget_no_graph_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    Gradient(predictor(TINY, "cpu"), token_budget=8).interpret_json(sentences([9])[0])
    assert counting.rows == [1, 1]


@pytest.mark.parametrize("fixture", ["entailment", "ner", "sentiment-lstm"])
@pytest.mark.parametrize("make", [Gradient, InputXGradient])
def test_several_fields_and_several_instances_of_one_input(
    fixture: str, make: Callable[..., SaliencyInterpreter], monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = make(
        Predictor.from_path(FIXTURES / fixture / "model.tar.gz", import_plugins=False)
    )
    lines = (FIXTURES / fixture / "inputs.jsonl").read_text().splitlines()[:3]
    given = [json.loads(line) for line in lines]
    found = [interpreter.interpret_json(one) for one in given]
    monkeypatch.setattr(base, "PredictionCache", forgetful)
    for mine, one in zip(found, given, strict=True):
        for explanation, other in zip(mine, interpreter.interpret_json(one), strict=True):
            for part, same in zip(explanation.inputs, other.inputs, strict=True):
                assert part.attributions == pytest.approx(same.attributions, rel=1e-4, abs=1e-8)
    assert any(len(mine) > 1 for mine in found) == (fixture == "ner")


@pytest.mark.parametrize("task", sorted({task for _, task in transformers.supported()}))
def test_a_hugging_face_model_as_if_nothing_were_known(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(name for name, other in transformers.supported() if other == task)
    interpreter = InputXGradient(transformers.predictor(name, task))
    found = [interpreter.interpret_json(one) for one in transformers.inputs(name, task)]
    monkeypatch.setattr(base, "PredictionCache", forgetful)
    for mine, given in zip(found, transformers.inputs(name, task), strict=True):
        for explanation, other in zip(mine, interpreter.interpret_json(given), strict=True):
            assert explanation.target["value"] == pytest.approx(other.target["value"], abs=1e-6)
            for part, same in zip(explanation.inputs, other.inputs, strict=True):
                assert part.attributions == pytest.approx(same.attributions, rel=1e-4, abs=1e-7)


def test_of_a_hugging_face_model_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = transformers.predictor("bert", "text-classification")
    rows: list[int] = []
    original = BertForSequenceClassification.forward

    def forward(model: Any, *args: Any, **given: Any) -> Any:
        rows.append(len(given["input_ids"]))
        return original(model, *args, **given)

    monkeypatch.setattr(BertForSequenceClassification, "forward", forward)
    text = {"sentence": "a great film"}
    Gradient(made).interpret_json(text)
    assert rows == [1]
    rows.clear()
    IntegratedGradients(made, steps=5, rule="left", baseline="pad").interpret_json(text)
    assert rows == [1, 5]


@pytest.mark.parametrize("lengths", [[7], [7, 7, 7], [20, 19, 20]])
@pytest.mark.parametrize(
    "make",
    [lambda p: IntegratedGradients(p, steps=6), Gradient],
    ids=["integrated-gradients", "gradient"],
)
@pytest.mark.parametrize("target", ["log-likelihood", "logit"])
def test_scores_are_those_of_an_interpreter_that_remembers_nothing(
    lengths: list[int],
    make: Callable[..., SaliencyInterpreter],
    target: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interpreter = make(predictor(TINY, "cpu"))
    texts = sentences(lengths)
    found = interpreter.interpret_batch_json(texts)
    monkeypatch.setattr(base, "PredictionCache", forgetful)
    for (one,), (other,) in zip(found, interpreter.interpret_batch_json(texts), strict=True):
        assert one.target["value"] == pytest.approx(other.target["value"], abs=1e-6)
        assert one.inputs[0].attributions == pytest.approx(
            other.inputs[0].attributions, rel=1e-4, abs=1e-9
        )
        assert any(one.inputs[0].attributions)


def test_no_more_is_kept_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)

    monkeypatch.setattr(base, "PredictionCache", lambda *of: PredictionCache(*of[:2], positions=8))
    IntegratedGradients(predictor(TINY, "cpu"), steps=5, rule="left").interpret_json(
        sentences([9])[0]
    )
    assert counting.rows == [1, 1, 5]


def test_another_text_is_not_taken_for_one_that_is_known() -> None:
    twin = Twin(predictor(TINY, "cpu"))
    layers = find_embedding_layers(twin)
    embedder: Any = layers.backbone
    cache = PredictionCache(layers, embedder, 100)
    ids = torch.tensor([[2, 9, 8, 3]])
    text = {"tokens": {"token_ids": ids, "mask": ids > 0, "type_ids": ids * 0}}
    with cache.listening(), torch.no_grad():
        output = embedder(text)
    assert not output.requires_grad
    recording = Recording({"tokens": text}, 1)
    with cache.serving(recording.embedder, recording.note):
        for name, other in (
            ("token_ids", ids + 1),
            ("mask", ids > 2),
            ("type_ids", ids * 0 + 1),
        ):
            embedder({"tokens": {**text["tokens"], name: other}})
            assert not recording.calls, name
        embedder({"tokens": {name: tensor[:, :3] for name, tensor in text["tokens"].items()}})
        # Several texts, one of which is known.
        embedder({"tokens": {n: tensor.repeat(2, 1) for n, tensor in text["tokens"].items()}})
        assert not recording.calls
        again = embedder(text)
        assert torch.equal(again, output)
        (call,) = recording.calls
        assert torch.autograd.grad(again.sum(), call.leaf)[0].any()
        # A graph takes one backward pass.
        embedder(text)
        assert len(recording.calls) == 1
    assert "forward" not in vars(embedder)


def test_two_fields_with_the_same_text(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = InputXGradient(
        Predictor.from_path(FIXTURES / "entailment" / "model.tar.gz", import_plugins=False)
    )
    line = json.loads((FIXTURES / "entailment" / "inputs.jsonl").read_text().splitlines()[0])
    given = {"premise": line["premise"], "hypothesis": line["premise"]}
    (found,) = interpreter.interpret_json(given)
    monkeypatch.setattr(base, "PredictionCache", forgetful)
    (expected,) = interpreter.interpret_json(given)
    for part, same in zip(found.inputs, expected.inputs, strict=True):
        assert part.attributions == pytest.approx(same.attributions, rel=1e-4, abs=1e-8)
    assert found.inputs[0].attributions != found.inputs[1].attributions


class Telling(BertForSequenceClassification):
    """Returns more than its output's type has names for."""

    def forward(self, *args: Any, **given: Any) -> Any:
        outputs = super().forward(*args, **given)
        outputs["best"] = outputs.logits.argmax(-1)
        return outputs


class Constant(BertForSequenceClassification):
    """Cannot be differentiated."""

    def forward(self, *args: Any, **given: Any) -> Any:
        with torch.no_grad():
            return super().forward(*args, **given)


def test_a_model_that_returns_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made = transformers.predictor("bert", "text-classification")
    (expected,) = Gradient(made).interpret_json({"sentence": "a great film"})
    monkeypatch.setattr(made._model.transformer, "__class__", Telling)
    (found,) = Gradient(made).interpret_json({"sentence": "a great film"})
    assert found.inputs[0].attributions == expected.inputs[0].attributions


def test_a_model_without_a_gradient_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = transformers.predictor("bert", "text-classification")
    monkeypatch.setattr(made._model.transformer, "__class__", Constant)
    with pytest.raises(InterpretationError, match=r"of Constant gives no gradient.*values only"):
        Gradient(made).interpret_json({"sentence": "a great film"})


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", [Gradient, IntegratedGradients])
@pytest.mark.parametrize("task", ["text-classification", "causal-lm"])
def test_where_the_caller_has_switched_gradients_off(without: Any, method: Any, task: str) -> None:
    name = {"text-classification": "bert", "causal-lm": "gpt2"}[task]
    made = method(transformers.predictor(name, task))
    given = transformers.inputs(name, task)[0]
    expected = made.interpret_json(given)
    with without():
        found = made.interpret_json(given)
        assert not torch.is_grad_enabled()
    for one, other in zip(found, expected, strict=True):
        assert one.inputs[0].attributions == other.inputs[0].attributions
