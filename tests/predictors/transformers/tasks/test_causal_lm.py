"""Models that put tokens of their own behind a text before they predict: XLNet and XLM."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.interpret.positions import UNASSIGNED
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.tasks.causal_lm import (
    added_inputs,
    adds_tokens,
    with_added_tokens,
)
from allennlp_saliency.predictors.transformers.texts.token_sequence import of_ids
from tests.zoo.word_level import MASK, PAD, WORDS, ready, words_tokenizer


def xlnet() -> Any:
    config = tf.XLNetConfig(
        vocab_size=len(WORDS), d_model=16, n_layer=2, n_head=2, d_inner=32, pad_token_id=PAD
    )
    return ready(tf.XLNetLMHeadModel(config))


def xlm() -> Any:
    config = tf.XLMConfig(
        vocab_size=len(WORDS),
        emb_dim=16,
        n_layers=2,
        n_heads=2,
        pad_index=PAD,
        pad_token_id=PAD,
        mask_token_id=MASK,
        max_position_embeddings=64,
    )
    return ready(tf.XLMWithLMHeadModel(config))


def gpt2() -> Any:
    config = tf.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, n_positions=16)
    return ready(tf.GPT2LMHeadModel(config))


@pytest.mark.parametrize(("make", "adds"), [(xlnet, True), (xlm, True), (gpt2, False)])
def test_which_models(make: Any, adds: bool) -> None:
    assert adds_tokens(make()) is adds


def test_xlms_mask() -> None:
    sequence = with_added_tokens(xlm(), of_ids(torch.tensor([[7, 8]])))
    assert sequence.ids.tolist() == [[7, 8, MASK]]
    assert sequence.tokens[0, -1] == UNASSIGNED


def test_xlnet_hides_what_it_adds() -> None:
    sequence = of_ids(torch.tensor([[7, 8]]))
    inputs = added_inputs(xlnet(), sequence)
    assert inputs["perm_mask"].shape[-1] == with_added_tokens(xlnet(), sequence).ids.shape[1]
    assert bool((inputs["perm_mask"][:, :, -1] == 1).all())


def test_padding_is_refused() -> None:
    sequence = of_ids(torch.tensor([[7, 8]]))
    padded = sequence.__class__(
        sequence.names,
        sequence.ids,
        torch.tensor([[True, False]]),
        sequence.fields,
        sequence.tokens,
    )
    with pytest.raises(InterpretationError, match="tokens of its own behind a text"):
        with_added_tokens(xlm(), padded)


@pytest.mark.parametrize("make", [xlnet, xlm])
def test_scores_by_hand_alone_and_in_a_batch(make: Any) -> None:
    """Input times gradient of the call that the model's own `generate` makes."""
    model = make()
    tokenizer = words_tokenizer("$A", "$A $B")
    predictor = TransformersPredictor.from_pretrained(model, tokenizer, task="causal-lm")
    given = {"prompt": "the cast was", "continuation": "good"}
    longer = {"prompt": "the cast was not good and bad", "continuation": "film"}
    method = InputXGradient(predictor, target="logit")
    ids = tokenizer(given["prompt"], return_tensors="pt").input_ids
    inputs = model.prepare_inputs_for_generation(ids, attention_mask=torch.ones_like(ids))
    inputs = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    inputs.pop("attention_mask", None)
    seen: list[Any] = []

    def hook(module: Any, args: Any, output: Any) -> Any:
        seen.append(output.detach().requires_grad_())
        return seen[-1].clone()

    handle = model.get_input_embeddings().register_forward_hook(hook)
    value = model(**inputs).logits[0, -1, tokenizer.convert_tokens_to_ids("good")]
    handle.remove()
    (gradient,) = torch.autograd.grad(value, seen)
    # XLNet counts positions first.
    expected = (seen[0].detach() * gradient).sum(-1).flatten()[:3].tolist()
    for found in (method.interpret_json(given), method.interpret_batch_json([longer, given])[1]):
        (one,) = found
        assert one.target["value"] == pytest.approx(float(value), rel=1e-4)
        scores = next(field for field in one.inputs if field.field == "prompt").attributions
        assert scores == pytest.approx(expected, rel=0, abs=1e-4 * max(map(abs, expected)) + 1e-5)
