"""A pipeline of transformers becomes a predictor of its model, and an interpreter says how."""

from __future__ import annotations

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

transformers = pytest.importorskip("transformers")


def pipeline(task: str, name: str, of_model: str) -> transformers.Pipeline:
    own = tokenizer(KINDS[name].tokenizer)
    return transformers.pipeline(task, model=model(name, of_model), tokenizer=own, device="cpu")


@pytest.mark.parametrize(
    ("task", "name", "of_model"),
    [
        ("text-classification", "bert", "text-classification"),
        ("token-classification", "bert", "token-classification"),
        ("fill-mask", "bert", "masked-lm"),
        ("text-generation", "gpt2", "causal-lm"),
    ],
)
def test_a_pipeline_is_taken_for_its_model_and_task(task: str, name: str, of_model: str) -> None:
    pipe = pipeline(task, name, of_model)
    predictor = TransformersPredictor.from_pretrained(pipe)
    own = TransformersPredictor.from_pretrained(pipe.model, pipe.tokenizer, of_model)
    assert type(predictor) is type(own)
    text = "the film was [MASK]." if task == "fill-mask" else "the film was good."
    found = InputXGradient(predictor).interpret_json(text)
    assert found == InputXGradient(own).interpret_json(text)


def test_the_prediction_is_that_of_the_pipeline() -> None:
    pipe = pipeline("text-classification", "bert", "text-classification")
    (answer,) = pipe("the film was good.")
    predictor = TransformersPredictor.from_pretrained(pipe)
    (explanation,) = InputXGradient(predictor, target="probability").interpret_json(
        "the film was good."
    )
    assert explanation.target["label"] == answer["label"]
    assert explanation.target["value"] == pytest.approx(answer["score"], rel=1e-5)


def test_an_interpreter_says_what_to_type() -> None:
    pipe = pipeline("text-classification", "bert", "text-classification")
    line = r"InputXGradient\(TransformersPredictor.from_pretrained\(pipeline\)\)"
    with pytest.raises(ConfigurationError, match=line):
        InputXGradient(pipe)


def test_a_pipeline_of_another_task_is_refused() -> None:
    class Pipeline:
        task = "image-classification"

    with pytest.raises(InterpretationError, match="'image-classification' is none that can be"):
        TransformersPredictor.from_pretrained(Pipeline())
