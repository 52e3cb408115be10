"""Generated texts are those of Hugging Face's own call, and explanations are of those tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import transformers as tf

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.predictors import TransformersPredictor
from tests.predictors.transformers.model.test_own_forward import DECODER
from tests.zoo.word_level import (
    BOTH,
    ENCODER,
    EOS,
    PAD,
    T5,
    WORDS,
    bart_like,
    llama_like,
    ready,
)


def _bert_to_gpt2() -> Any:
    decoder = tf.GPT2Config(
        vocab_size=len(WORDS), n_embd=24, n_layer=2, n_head=2, n_positions=32, pad_token_id=PAD
    )
    decoder.add_cross_attention = True
    model: Any = tf.EncoderDecoderModel(
        encoder=tf.BertModel(tf.BertConfig(**ENCODER)), decoder=tf.GPT2LMHeadModel(decoder)
    )
    model.config.decoder_start_token_id, model.config.pad_token_id = 5, PAD
    model.generation_config = tf.GenerationConfig(
        decoder_start_token_id=5, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=5
    )
    return model


def _marian() -> Any:
    return tf.MarianMTModel(
        tf.MarianConfig(
            **BOTH,
            share_encoder_decoder_embeddings=False,
            decoder_vocab_size=len(WORDS),
            tie_word_embeddings=False,
        )
    )


def _fsmt() -> Any:
    return tf.FSMTForConditionalGeneration(
        tf.FSMTConfig(
            langs=["en", "de"],
            src_vocab_size=len(WORDS),
            tgt_vocab_size=len(WORDS),
            **{name: value for name, value in BOTH.items() if name != "vocab_size"},
        )
    )


WRITERS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "bart scaled": (
        lambda: tf.BartForConditionalGeneration(tf.BartConfig(**BOTH, scale_embedding=True)),
        bart_like,
    ),
    "marian with two tables": (_marian, bart_like),
    "fsmt": (_fsmt, bart_like),
    "a decoder of another width": (_bert_to_gpt2, bart_like),
    "t5": (lambda: tf.T5ForConditionalGeneration(tf.T5Config(**T5)), bart_like),
    "mixtral": (
        lambda: tf.MixtralForCausalLM(tf.MixtralConfig(**DECODER, num_local_experts=4)),
        llama_like,
    ),
    "mamba": (
        lambda: tf.MambaForCausalLM(
            tf.MambaConfig(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, state_size=4)
        ),
        llama_like,
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_model_that_writes(name: str) -> None:
    """What it writes is what `generate` writes, and the explained log-probabilities are those
    that its scores give, alone and beside a longer text."""
    make, tokenize = WRITERS[name]
    model, tokenizer = ready(make()), tokenize()
    task = "seq2seq" if model.config.is_encoder_decoder else "causal-lm"
    field = "source" if task == "seq2seq" else "prompt"
    given = {field: "the cast was", "max_new_tokens": 3}
    longer = {field: "the cast was bad and the film not good .", "max_new_tokens": 3}
    written = model.generate(
        **tokenizer(given[field], return_tensors="pt"),
        max_new_tokens=3,
        do_sample=False,
        num_beams=1,
        pad_token_id=PAD,
        output_logits=True,
        return_dict_in_generate=True,
    )
    predictor = TransformersPredictor.from_pretrained(model, tokenizer, task=task)
    method = InputXGradient(predictor)
    alone, beside = method.interpret_json(given), method.interpret_batch_json([longer, given])[1]
    ids = predictor.predict_json(given)["token_ids"]
    assert ids == written.sequences[0, -len(ids) :].tolist()
    own = [
        float(step[0].log_softmax(-1)[number])
        for step, number in zip(written.logits, ids, strict=False)
    ]
    assert [one.target["value"] for one in alone] == pytest.approx(own, rel=1e-4, abs=1e-4)
    for one, other in zip(alone, beside, strict=True):
        assert one.target["value"] == pytest.approx(other.target["value"], rel=1e-4)
        for left, right in zip(one.inputs, other.inputs, strict=True):
            scale = max(map(abs, left.attributions), default=0.0) + 1e-3
            assert left.attributions == pytest.approx(right.attributions, rel=0, abs=1e-3 * scale)
