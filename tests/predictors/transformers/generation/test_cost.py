"""What explaining a generated text does not do twice, nor row by row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.data import Instance
from torch.utils.flop_counter import FlopCounterMode

from allennlp_saliency.interpret import Explanation, Gradient, IntegratedGradients
from allennlp_saliency.predictors.transformers.tasks.causal_lm import TransformersCausalLM
from allennlp_saliency.predictors.transformers.tasks.seq2seq import TransformersSeq2Seq
from tests.zoo.task_models import predictor

GIVEN = {
    "causal-lm": {"prompt": "a great film", "continuation": " but the plot"},
    "seq2seq": {"source": "a great film", "target": "the plot"},
}
MODELS = {"causal-lm": ("gpt2", TransformersCausalLM), "seq2seq": ("t5", TransformersSeq2Seq)}


def scores(explanation: Explanation) -> list[float]:
    return [score for part in explanation.inputs for score in part.attributions]


@pytest.mark.parametrize("task", MODELS)
def test_a_text_that_is_given_is_not_predicted(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, model = MODELS[task]
    made = predictor(name, task)
    expected = Gradient(made).interpret_json(GIVEN[task])

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the model was asked what it predicts")

    monkeypatch.setattr(model, "_written", refuse)
    with pytest.raises(AssertionError):
        made.predict_json(GIVEN[task])
    found = Gradient(made).interpret_json(GIVEN[task])
    assert len(found) > 1
    for one, other in zip(found, expected, strict=True):
        assert scores(one) == scores(other)


def test_a_predictor_that_labels_otherwise_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = predictor("gpt2", "causal-lm")
    whole = Gradient(made).interpret_json(GIVEN["causal-lm"])

    class Last(type(made)):  # type: ignore[misc]
        def predictions_to_labeled_instances(
            self, instance: Instance, outputs: Any
        ) -> list[Instance]:
            assert outputs["token_ids"]
            return super().predictions_to_labeled_instances(instance, outputs)[-1:]

    monkeypatch.setattr(made, "__class__", Last)
    (last,) = Gradient(made).interpret_json(GIVEN["causal-lm"])
    assert scores(last) == pytest.approx(scores(whole[-1]), abs=1e-6)


def test_the_head_is_multiplied_once_for_all_rows() -> None:
    made = IntegratedGradients(predictor("gpt2", "causal-lm"), steps=8)
    with FlopCounterMode(display=False) as counter:
        made.interpret_json({"prompt": "a great film", "continuation": " but"})
    heads = [of for name, of in counter.get_flop_counts().items() if name.endswith("lm_head")]
    assert heads
    for of_head in heads:
        # Row by row it would be a product of batches.
        assert set(of_head) == {torch.ops.aten.mm}
