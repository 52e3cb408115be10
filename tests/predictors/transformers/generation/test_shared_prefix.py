"""Texts with a unit removed: what stands before it goes through the model once."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as tf
from torch.utils.flop_counter import FlopCounterMode

from allennlp_saliency.interpret import KernelShap, LeaveOneOut, SaliencyInterpreter
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.generation import shared_prefix
from allennlp_saliency.predictors.transformers.generation.shared_prefix import SharedPrefix
from allennlp_saliency.predictors.transformers.tasks.causal_lm import TransformersCausalLM
from tests.zoo.word_level import PAD, WORDS, ready, words_tokenizer

SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 32,
    "pad_token_id": PAD,
}
MODELS: dict[str, Any] = {
    "gpt2": lambda: tf.GPT2LMHeadModel(
        tf.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=128)
    ),
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**SMALL)),
    "sliding": lambda: tf.MistralForCausalLM(tf.MistralConfig(**SMALL, sliding_window=8)),
    "mamba": lambda: tf.MambaForCausalLM(
        tf.MambaConfig(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, state_size=4)
    ),
}
SHARING = ("gpt2", "llama")
NAMES = "the cast was not good and john lives".split()
PARTS = [" ".join(NAMES[n:] + NAMES[:n]) for n in range(6)]
ENDS = [len(" ".join(PARTS[: n + 1])) for n in range(6)]
TEXT = {
    "prompt": " ".join(PARTS),
    "continuation": " in paris",
    "explain": "span",
    "units": {"prompt": [[end - len(PARTS[0]), end] for end in ENDS]},
}


def predictor(name: str) -> TransformersPredictor:
    torch.manual_seed(0)
    tokenizer = words_tokenizer("$A", "$A $B")
    return TransformersPredictor.from_pretrained(ready(MODELS[name]()), tokenizer, task="causal-lm")


def explained(method: SaliencyInterpreter, text: dict[str, Any] = TEXT) -> tuple[list[float], int]:
    """The scores, and the operations that they took."""
    with FlopCounterMode(display=False) as counter:
        (explanation,) = method.interpret_json(text)
    scores = [score for part in explanation.inputs for score in part.attributions]
    return scores, counter.get_total_flops()


def without_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransformersCausalLM, "shared_prefix", None)
    monkeypatch.setattr(SharedPrefix, "logits", None)
    monkeypatch.setattr(
        "allennlp_saliency.predictors.transformers.tasks.causal_lm.shares_prefixes",
        lambda *args: False,
    )


@pytest.mark.parametrize("removal", ["zero", "delete"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("budget", [50, 150])
def test_the_same_scores_for_less_work(
    name: str, removal: str, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = predictor(name)
    method = LeaveOneOut(made, removal=removal, token_budget=budget)
    explained(method)  # The model is tried once, however often it is asked.
    found, work = explained(method)
    assert made._model._cache.shares is (name in SHARING)
    with monkeypatch.context() as patched:
        made._model._cache.shares = None
        without_sharing(patched)
        expected, all_work = explained(method)
    assert found == pytest.approx(expected, abs=1e-5)
    assert max(map(abs, expected)) > 1e-4
    if name in SHARING and budget == 50:
        assert work < 0.8 * all_work
    elif name not in SHARING:
        assert work == all_work


def test_random_coalitions_cost_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made = predictor("gpt2")
    method = KernelShap(made, removal="zero", exact_units=1, num_samples=40, token_budget=50)
    explained(method)
    found, work = explained(method)
    with monkeypatch.context() as patched:
        made._model._cache.shares = None
        without_sharing(patched)
        expected, all_work = explained(method)
    assert found == pytest.approx(expected, abs=1e-5)
    assert work <= all_work


@pytest.mark.parametrize("name", SHARING)
def test_padding_of_the_kept_text_is_no_part_of_it(name: str) -> None:
    """The padding's token may stand in a text, too, as where it is the one that ends texts."""
    model: Any = predictor(name)._model
    shared = SharedPrefix(model.transformer, model.call, least=4)
    kept = torch.cat([torch.arange(1, 7), torch.full((6,), PAD)])
    full = torch.cat([kept[:8], torch.arange(1, 5)])
    mask = (torch.arange(12) < 6).long()
    asked = {
        "input_ids": full[None],
        "attention_mask": torch.ones_like(full)[None],
        "use_cache": False,
    }
    places = torch.tensor([10, 11])
    with torch.no_grad():
        shared.logits({**asked, "input_ids": kept[None], "attention_mask": mask[None]}, places)
        found = shared.logits(asked, places)
        expected = model.call({**asked, "logits_to_keep": places}).logits
    assert shared.shared == 6
    assert torch.allclose(found, expected, atol=1e-5)


def test_the_model_is_left_as_it_was() -> None:
    made = predictor("gpt2")
    LeaveOneOut(made, removal="zero").interpret_json(TEXT)
    model = made._model
    assert model.shared_prefix is None
    sharing = model.sharing_prefixes()
    for _ in range(2):
        with contextlib.suppress(KeyError), sharing:
            assert model.shared_prefix is not None
            raise KeyError
    assert model.shared_prefix is None


def test_texts_that_begin_differently_are_not_kept_for_long() -> None:
    model: Any = predictor("gpt2")._model
    shared = SharedPrefix(model.transformer, model.call)
    places = torch.tensor([19])
    for first in range(7, 17):
        ids = torch.full((1, 20), first)
        with torch.no_grad():
            found = shared.logits({"input_ids": ids, "use_cache": False}, places)
            expected = model.transformer(ids).logits[:, places]
        assert torch.allclose(found, expected, atol=1e-5)
    assert shared.shared == 0
    assert int(shared._kept[-1].embedded.shape[0]) == 20
    assert torch.equal(
        shared._kept[-1].embedded[0], model.transformer.get_input_embeddings().weight[10]
    )


@pytest.mark.parametrize(
    ("scaling", "by_length"),
    [
        ({"rope_type": "default"}, False),
        ({"rope_type": "linear", "factor": 2.0}, False),
        ({"rope_type": "dynamic", "factor": 2.0}, True),
        ({"type": "longrope"}, True),
        ({"full_attention": {"rope_type": "longrope"}}, True),
        (None, False),
    ],
)
def test_positions_that_depend_on_the_length_are_not_shared(scaling: Any, by_length: bool) -> None:
    config = SimpleNamespace(rope_parameters=scaling)
    assert shared_prefix._positions_by_length(config) is by_length
