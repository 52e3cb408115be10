"""Models that read pictures or hear beside text are explained where text alone is given to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.transformers.loading import tasks_of
from tests.zoo.architectures.reference import recorded_embeddings
from tests.zoo.word_level import BOS, EOS, PAD, WORDS, llama_like, ready

DECODER = {
    "vocab_size": len(WORDS) + 3,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 32,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
}
PICTURES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
GIVEN = [
    {"prompt": "the cast was not", "continuation": "good"},
    {"prompt": "mary", "continuation": "lives"},
]


def _llava() -> Any:
    return tf.LlavaForConditionalGeneration(
        tf.LlavaConfig(
            vision_config=tf.CLIPVisionConfig(**PICTURES),
            text_config=tf.LlamaConfig(**DECODER),
            image_token_index=len(WORDS),
        )
    )


def _qwen2_vl() -> Any:
    """Its rotary embeddings count in three directions."""
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
    seen = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 4}
    numbers = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {name: len(WORDS) + number % 3 for number, name in enumerate(numbers)}
    text = {**DECODER, "rope_parameters": rope}
    return tf.Qwen2VLForConditionalGeneration(
        tf.Qwen2VLConfig(text_config=text, vision_config=seen, **ids)
    )


def _qwen2_audio() -> Any:
    """transformers counts it among those that translate."""
    heard = {
        "d_model": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "num_mel_bins": 8,
    }
    text = {**DECODER, "model_type": "qwen2"}
    config = tf.Qwen2AudioConfig(text_config=text, audio_config=heard, audio_token_index=len(WORDS))
    return tf.Qwen2AudioForConditionalGeneration(config)


@pytest.mark.parametrize("build", [_llava, _qwen2_vl, _qwen2_audio])
def test_a_text_alone_is_explained_as_by_hand(build: Any, tmp_path: Path) -> None:
    model, tokenizer = ready(build()), llama_like()
    rights = []
    for given in GIVEN:
        inputs = tokenizer(given["prompt"], return_tensors="pt")
        label = WORDS.index(given["continuation"])
        with recorded_embeddings(model) as calls:
            logit = model(**inputs).logits[0, -1, label]
            leaves = [leaf for _, leaf in calls]
            (gradient,) = torch.autograd.grad(logit, leaves)
        products = (leaves[0].detach() * gradient)[0]
        rights.append((logit.item(), products))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for made in (model, str(tmp_path)):
        predictor = TransformersPredictor.from_pretrained(made, tokenizer)
        assert type(predictor._model.transformer) is type(model)
        method = InputXGradient(predictor, target="logit")
        together = method.interpret_batch_json(GIVEN)
        for given, batch, (logit, products) in zip(GIVEN, together, rights, strict=True):
            for (one,) in (method.interpret_json(given), batch):
                assert one.target["value"] == pytest.approx(logit, abs=1e-5)
                (prompt,) = (part for part in one.inputs if part.field == "prompt")
                size = float(products.abs().sum(-1).max())
                assert prompt.attributions == pytest.approx(
                    products.sum(-1).tolist(), abs=1e-4 * size
                )


def test_it_writes_what_generate_writes() -> None:
    model, tokenizer = ready(_llava()), llama_like()
    predictor = TransformersPredictor.from_pretrained(model, tokenizer)
    inputs = tokenizer("the cast was", return_tensors="pt")
    own = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    written = predictor.predict_json({"prompt": "the cast was", "max_new_tokens": 4})
    assert written["token_ids"] == own[0, inputs.input_ids.shape[1] :].tolist()


def test_one_that_needs_a_picture_is_refused() -> None:
    asked = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        "model_type": "opt",
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "word_embed_proj_dim": 16,
        "ffn_dim": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = tf.Blip2Config(
        text_config=text,
        vision_config=PICTURES,
        qformer_config={**asked, "intermediate_size": 32, "encoder_hidden_size": 16},
    )
    with pytest.raises(InterpretationError, match="cannot do without pixel_values; it is no model"):
        TransformersPredictor.from_pretrained(
            tf.Blip2ForConditionalGeneration(config), llama_like()
        )


def test_tasks_by_class_and_config() -> None:
    class_name = "MyOwnForConditionalGeneration"
    assert tasks_of(class_name) == ["seq2seq"]
    assert tasks_of(class_name, tf.T5Config()) == ["seq2seq"]
    assert tasks_of(class_name, tf.LlamaConfig()) == ["causal-lm"]
    assert tasks_of("BertForMaskedLM", tf.BertConfig()) == ["masked-lm"]
