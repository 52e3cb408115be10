"""How many tokens a model is asked to write: no text takes days."""

from __future__ import annotations

import copy
import signal
import threading

import pytest

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, predictor, tokenizer

TASKS = {"gpt2": "causal-lm", "llama": "causal-lm", "t5": "seq2seq", "bart": "seq2seq"}
KEYS = {"causal-lm": "prompt", "seq2seq": "source"}


@pytest.mark.parametrize("name", TASKS)
def test_a_billion_is_refused(name: str) -> None:
    """By the model's own positions where it has some."""
    own = predictor(name, TASKS[name])
    asked = {KEYS[TASKS[name]]: "the cast was", "max_new_tokens": 10**9}
    told = "128" if name in ("gpt2", "bart") else "the 10000 tokens that are written for one"
    with pytest.raises(InterpretationError, match=f"max_new_tokens=1000000000 .*{told}.*; .*fewer"):
        own.predict_json(asked)
    with pytest.raises(InterpretationError, match="ask for fewer"):
        InputXGradient(own).interpret_json(asked)


def test_in_windows_too() -> None:
    own = TransformersPredictor.from_pretrained(
        model("gpt2", "causal-lm"), tokenizer(KINDS["gpt2"].tokenizer), overlong="window"
    )
    with pytest.raises(InterpretationError, match="max_new_tokens=1000000000"):
        own.predict_json({"prompt": "the cast was", "max_new_tokens": 10**9})


def test_a_model_that_was_made_for_more_may_write_more() -> None:
    made = copy.deepcopy(model("llama", "causal-lm"))
    made.config.max_position_embeddings = 20_000
    made.generation_config.eos_token_id = None
    made.generation_config.max_time = None
    own = TransformersPredictor.from_pretrained(made, tokenizer(KINDS["llama"].tokenizer))
    with pytest.raises(InterpretationError, match="the 20000 tokens"):
        own.predict_json({"prompt": "the cast was", "max_new_tokens": 20_001})


def test_it_may_be_interrupted() -> None:
    made = copy.deepcopy(model("llama", "causal-lm"))
    made.generation_config.eos_token_id = None
    own = TransformersPredictor.from_pretrained(made, tokenizer(KINDS["llama"].tokenizer))
    own.predict_json({"prompt": "the cast was", "max_new_tokens": 2})
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        own.predict_json({"prompt": "the cast was", "max_new_tokens": 10_000})
    timer.join()
    # And nothing is left behind.
    assert own.predict_json({"prompt": "the cast was", "max_new_tokens": 2})["token_ids"]
