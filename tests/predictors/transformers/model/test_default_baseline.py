"""Which baseline a predictor names: by how its model begins, not by its name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from allennlp_saliency.interpret import (
    DeepLift,
    GradientShap,
    IntegratedGradients,
    InterpretationError,
    LayerIntegratedGradients,
)
from allennlp_saliency.predictors import TransformersPredictor

WORDS = "[PAD] [UNK] [CLS] [SEP] the cast was not good .".split()
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": len(WORDS),
}
IDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}


def tokenizer(template: str) -> Any:
    splits = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    splits.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [(word, WORDS.index(word)) for word in ("[CLS]", "[SEP]")]
    splits.post_processor = processors.TemplateProcessing(
        single=template, pair="$A $B", special_tokens=special
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=splits,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        eos_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
    )


def llama(**more: Any) -> Any:
    return tf.LlamaForCausalLM(tf.LlamaConfig(**{**SMALL, **IDS, **more}))


MODELS = {
    # Position embeddings are added before the first norm.
    "bert": lambda: tf.BertForSequenceClassification(tf.BertConfig(**SMALL)),
    "gpt2": lambda: tf.GPT2LMHeadModel(
        tf.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, **IDS)
    ),
    # The special tokens, which stay, give every position a state.
    "xlnet": lambda: tf.XLNetForSequenceClassification(
        tf.XLNetConfig(vocab_size=len(WORDS), d_model=16, n_layer=2, n_head=2, d_inner=32)
    ),
    # Nothing is added: rotary or relative positions.
    "llama": llama,
    "bloom": lambda: tf.BloomForCausalLM(
        tf.BloomConfig(vocab_size=len(WORDS), hidden_size=16, n_layer=2, n_head=2, **IDS)
    ),
    "t5": lambda: tf.T5ForConditionalGeneration(
        tf.T5Config(
            vocab_size=len(WORDS),
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=2,
            num_heads=2,
            decoder_start_token_id=0,
        )
    ),
}
EXPECTED = dict.fromkeys(("bert", "gpt2", "xlnet"), "zero") | dict.fromkeys(
    ("llama", "bloom", "t5"), "mean"
)


def predictor(name: str) -> TransformersPredictor:
    torch.manual_seed(0)
    template = {"bert": "[CLS] $A [SEP]", "xlnet": "$A [SEP] [CLS]", "t5": "$A [SEP]"}
    return TransformersPredictor.from_pretrained(
        MODELS[name]().eval(), tokenizer(template.get(name, "$A"))
    )


@pytest.mark.parametrize("name", MODELS)
def test_zero_where_the_model_has_a_value_there(name: str) -> None:
    named = predictor(name).default_baseline
    assert named == EXPECTED[name]


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_the_gradient_says_the_same(name: str) -> None:
    """By autograd through the model's own forward: the derivative of its outputs along the path,
    at zero, by how much they change in all."""
    model = MODELS[name]().eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(std=0.3)
    x = model.get_input_embeddings()(torch.tensor([[4, 5, 6, 7]])).detach()
    point = torch.zeros_like(x).requires_grad_()
    value = model(inputs_embeds=point).logits.reshape(-1)[0]
    (g,) = torch.autograd.grad(value, point)
    change = (model(inputs_embeds=x).logits.reshape(-1)[0] - value).abs()
    slope = (g * x).sum().abs() / change
    assert bool(slope > 30) == (EXPECTED[name] == "mean")


def test_the_users_model_is_left_as_it_is() -> None:
    one = predictor("llama")
    before = {name: value.clone() for name, value in one._model.state_dict().items()}
    assert one.default_baseline == "mean"
    assert all(not module._forward_hooks for module in one._model.modules())
    assert all(torch.equal(value, before[n]) for n, value in one._model.state_dict().items())


TEXT = {"prompt": "the cast was", "continuation": "not"}


class TestExplanations:
    @pytest.mark.parametrize(
        "method", [IntegratedGradients, DeepLift, GradientShap, LayerIntegratedGradients]
    )
    def test_the_baseline_that_was_used_is_named(self, method: Any) -> None:
        (one,) = method(predictor("llama")).interpret_json(TEXT)
        assert one.interpreter["baseline"]["type"] == "mean"
        (one,) = method(predictor("gpt2")).interpret_json(TEXT)
        assert one.interpreter["baseline"]["type"] == "zero"

    def test_an_overflow_names_its_cause(self) -> None:
        deep = llama(num_hidden_layers=30)
        with torch.no_grad():
            for weights in deep.parameters():
                if weights.dim() > 1:
                    weights.normal_(std=0.3)
        made = TransformersPredictor.from_pretrained(deep.eval(), tokenizer("$A"))
        with pytest.raises(InterpretationError, match="normalises right after its embedding"):
            IntegratedGradients(made, baseline="zero").interpret_json(TEXT)
        (one,) = IntegratedGradients(made, max_steps=64).interpret_json(TEXT)
        assert one.interpreter["baseline"]["type"] == "mean"

    @pytest.mark.parametrize("method", [DeepLift, GradientShap])
    def test_noise_is_warned_of(self, method: Any) -> None:
        (one,) = method(predictor("llama"), baseline="zero").interpret_json(TEXT)
        assert any("normalises right after its embedding" in line for line in one.warnings)
        (one,) = method(predictor("llama"), baseline="pad").interpret_json(TEXT)
        assert not any("normalises right after" in line for line in one.warnings)
        (one,) = method(predictor("gpt2"), baseline="zero").interpret_json(TEXT)
        assert not any("normalises right after" in line for line in one.warnings)
