"""That a model writes the same with a cache is found out once."""

from __future__ import annotations

import copy
from typing import Any

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer


def test_one_explanation_finds_it_out_for_the_next(monkeypatch: Any) -> None:
    own = copy.deepcopy(model("gpt2", "causal-lm"))
    made = TransformersPredictor.from_pretrained(own, tokenizer(KINDS["gpt2"].tokenizer))
    scored: list[int] = []
    score = type(made._model)._log_probs  # type: ignore[attr-defined]

    def counted(self: Any, *args: Any) -> Any:
        scored.append(1)
        return score(self, *args)

    monkeypatch.setattr(type(made._model), "_log_probs", counted)
    interpreter = InputXGradient(made)
    for prompt in ("a great film", "but the plot", "was not good"):
        interpreter.interpret_json({"prompt": prompt, "max_new_tokens": 3})
    assert len(scored) == 1
