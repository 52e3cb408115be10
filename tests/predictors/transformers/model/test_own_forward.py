"""Predictions are those of Hugging Face's own call on ids, and explanations are of that number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn

from allennlp_saliency.interpret import InputXGradient
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.word_level import (
    BOTH,
    ENCODER,
    EOS,
    MASK,
    PAD,
    SEP,
    T5,
    WORDS,
    bert_like,
    by_hand,
    llama_like,
    ready,
    words_tokenizer,
)

TEXTS: list[Any] = [
    "the cast was not good",
    "bad",
    "mary lives in paris and john lives in paris . the cast was bad . the film was not good",
]
PAIRS: list[Any] = [("mary lives in paris", "where does mary live ?"), ("john", "bad film")]

Built = tuple[Any, Any, list[Any]]
THREE: dict[str, Any] = {**ENCODER, "num_labels": 3}
DECODER = {
    **THREE,
    "num_key_value_heads": 1,
    "pad_token_id": PAD,
    "bos_token_id": 5,
    "eos_token_id": EOS,
}


def _longformer() -> Built:
    """Global attention at the first token, and padding to a multiple of the window."""
    config = tf.LongformerConfig(
        **THREE, max_position_embeddings=66, attention_window=4, sep_token_id=SEP
    )
    tokenizer = bert_like(types=False)
    return tf.LongformerForSequenceClassification(config), tokenizer, [*TEXTS, *PAIRS]


def _big_bird() -> Built:
    """Blocks: a text that is too short for them is read with full attention."""
    config = tf.BigBirdConfig(
        **THREE,
        max_position_embeddings=256,
        attention_type="block_sparse",
        block_size=4,
        num_random_blocks=1,
    )
    texts = [*TEXTS, *PAIRS, f"{TEXTS[-1]} . {TEXTS[-1]} . {TEXTS[-1]}"]
    return tf.BigBirdForSequenceClassification(config), bert_like(types=False), texts


def _xlnet() -> Built:
    """Token types that say which text a token is of, and padding before the text."""
    config = tf.XLNetConfig(
        vocab_size=len(WORDS),
        d_model=16,
        n_layer=2,
        n_head=2,
        d_inner=32,
        num_labels=3,
        pad_token_id=PAD,
    )
    pair = "$A [SEP] $B:1 [SEP]:1 [CLS]:2"
    tokenizer = words_tokenizer("$A [SEP] [CLS]:2", pair, types=True, padding_side="left")
    return tf.XLNetForSequenceClassification(config), tokenizer, [*TEXTS, *PAIRS]


def _xlm(**more: Any) -> Built:
    config = tf.XLMConfig(
        vocab_size=len(WORDS),
        emb_dim=16,
        n_layers=2,
        n_heads=2,
        num_labels=3,
        pad_index=PAD,
        pad_token_id=PAD,
        max_position_embeddings=64,
        **more,
    )
    return tf.XLMForSequenceClassification(config), bert_like(types=False), [*TEXTS, *PAIRS]


def _esm(**more: Any) -> Built:
    config = tf.EsmConfig(
        **THREE,
        max_position_embeddings=64,
        mask_token_id=MASK,
        **more,
    )
    return tf.EsmForSequenceClassification(config), bert_like(types=False), TEXTS


def _ibert() -> Built:
    config = tf.IBertConfig(**THREE, max_position_embeddings=66)
    return tf.IBertForSequenceClassification(config), bert_like(types=False), TEXTS


def _funnel() -> Built:
    """Pools the sequence between its blocks."""
    config = tf.FunnelConfig(
        vocab_size=len(WORDS),
        d_model=16,
        block_sizes=[1, 1],
        num_decoder_layers=1,
        n_head=2,
        d_head=8,
        d_inner=32,
        num_labels=3,
        pad_token_id=PAD,
    )
    return tf.FunnelForSequenceClassification(config), bert_like(), [*TEXTS, *PAIRS]


def _bart(**more: Any) -> Built:
    """The encoder and the decoder both read the text; the end's state is what counts."""
    config = tf.BartConfig(**{**BOTH, "eos_token_id": SEP}, num_labels=3, **more)
    return tf.BartForSequenceClassification(config), bert_like(types=False), TEXTS


def _t5() -> Built:
    config = tf.T5Config(**{**T5, "eos_token_id": SEP}, num_labels=3)
    return tf.T5ForSequenceClassification(config), bert_like(types=False), TEXTS


def _gpt2(**more: Any) -> Built:
    """The last token's state is what counts, found by the padding's id where there is one."""
    config = tf.GPT2Config(
        vocab_size=len(WORDS),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        num_labels=3,
        **more,
    )
    return tf.GPT2ForSequenceClassification(config), llama_like(), TEXTS


def _mixtral() -> Built:
    config = tf.MixtralConfig(**DECODER, num_local_experts=4)
    return tf.MixtralForSequenceClassification(config), llama_like(), TEXTS


def _gemma() -> Built:
    """Word vectors are scaled outside of the embedding layer."""
    config = tf.GemmaConfig(**DECODER, head_dim=8)
    return tf.GemmaForSequenceClassification(config), llama_like(), TEXTS


def _fnet() -> Built:
    """Mixes all positions without a mask: it sees padding."""
    own = {name: value for name, value in THREE.items() if name != "num_attention_heads"}
    config = tf.FNetConfig(**own)
    return tf.FNetForSequenceClassification(config), bert_like(), [*TEXTS, *PAIRS]


def _deberta() -> Built:
    """A convolution over positions."""
    config = tf.DebertaV2Config(
        **THREE,
        relative_attention=True,
        pos_att_type=["c2p", "p2c"],
        conv_kernel_size=3,
        conv_act="gelu",
        position_buckets=8,
        position_biased_input=False,
        type_vocab_size=0,
    )
    return tf.DebertaV2ForSequenceClassification(config), bert_like(types=False), TEXTS


class _CountsIds(tf.BertForSequenceClassification):
    """What it returns depends on ids that are in the text."""

    def forward(self, input_ids: Any = None, **options: Any) -> Any:
        outputs = super().forward(input_ids=input_ids, **options)
        outputs.logits = outputs.logits * (1 + (input_ids == 9).sum(-1, keepdim=True))
        return outputs


def _by_ids() -> Built:
    return _CountsIds(tf.BertConfig(**THREE)), bert_like(), [*TEXTS, *PAIRS]


def _closure() -> Built:
    """A function of somebody's in the place of the model's `forward`."""
    model: Any = tf.BertForSequenceClassification(tf.BertConfig(**THREE))
    own = model.forward

    def timed(*args: Any, **options: Any) -> Any:
        return own(*args, **options)

    model.forward = timed
    return model, bert_like(), [*TEXTS, *PAIRS]


class _Wrapper(nn.Module):
    """Hands everything on to the model in it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.config = model.config

    def get_input_embeddings(self) -> Any:
        return self.model.get_input_embeddings()

    def forward(self, *args: Any, **options: Any) -> Any:
        return self.model(*args, **options)


def _wrapper() -> Built:
    model = tf.BertForSequenceClassification(tf.BertConfig(**THREE))
    return _Wrapper(model), bert_like(), [*TEXTS, *PAIRS]


def _scaling_hook() -> Built:
    """A hook of the user's on the embedding layer is part of the model."""
    model: Any = tf.BertForSequenceClassification(tf.BertConfig(**THREE))
    layer = model.get_input_embeddings()
    layer.register_forward_hook(lambda module, args, output: output * 2)
    return model, bert_like(), TEXTS


CLASSIFIERS: dict[str, Callable[[], Built]] = {
    "longformer": _longformer,
    "big bird": _big_bird,
    "xlnet": _xlnet,
    "xlm": _xlm,
    "xlm with languages": lambda: _xlm(n_langs=2, use_lang_emb=True),
    "esm rotary": lambda: _esm(token_dropout=True, position_embedding_type="rotary"),
    "esm absolute": lambda: _esm(token_dropout=False, position_embedding_type="absolute"),
    "ibert": _ibert,
    "funnel": _funnel,
    "bart": _bart,
    "bart scaled": lambda: _bart(scale_embedding=True),
    "t5": _t5,
    "gpt2": lambda: _gpt2(pad_token_id=PAD),
    "gpt2 without padding": _gpt2,
    "mixtral": _mixtral,
    "gemma": _gemma,
    "fnet": _fnet,
    "deberta": _deberta,
    "by ids": _by_ids,
    "closure": _closure,
    "wrapper": _wrapper,
    "scaling hook": _scaling_hook,
}


def json_of(text: Any) -> dict[str, str]:
    if isinstance(text, str):
        return {"sentence": text}
    return {"premise": text[0], "hypothesis": text[1]}


def encoded(tokenizer: Any, text: Any) -> Any:
    texts = (text,) if isinstance(text, str) else text
    return tokenizer(*texts, return_tensors="pt")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier(name: str) -> None:
    """Predicted and explained, alone and in a batch with longer and shorter texts."""
    model, tokenizer, texts = CLASSIFIERS[name]()
    model = ready(model)
    inputs = [encoded(tokenizer, text) for text in texts]
    with torch.no_grad():
        logits = [model(**one).logits[0] for one in inputs]
    expected = [
        by_hand(model, one, int(row.argmax())) for one, row in zip(inputs, logits, strict=True)
    ]
    predictor = TransformersPredictor.from_pretrained(model, tokenizer, task="text-classification")
    given = [json_of(text) for text in texts]
    method = InputXGradient(predictor, target="logit")
    alone = [predictor.predict_json(one) for one in given]
    explained = [method.interpret_json(one)[0] for one in given]
    # Twice: what is found out about padding in the first batch holds for the second.
    for predictions, explanations in (
        (alone, explained),
        (predictor.predict_batch_json(given), [o[0] for o in method.interpret_batch_json(given)]),
        (predictor.predict_batch_json(given), [o[0] for o in method.interpret_batch_json(given)]),
    ):
        for prediction, one, row, (value, size, scores) in zip(
            predictions, explanations, logits, expected, strict=True
        ):
            close = torch.tensor(prediction["logits"])
            torch.testing.assert_close(close, row, rtol=0, atol=1e-5 * float(row.abs().max()))
            assert one.target["value"] == pytest.approx(value, rel=1e-4, abs=1e-5)
            # The first named text comes last.
            own = [score for field in reversed(one.inputs) for score in field.attributions]
            found = sum(own) + sum(field.unassigned for field in one.inputs)
            by_call = sum(map(sum, scores))
            assert found == pytest.approx(by_call, rel=0, abs=1e-3 * size)
            if len(scores) == 1 and len(scores[0]) == len(own):
                # Products of each token cancel where a norm follows: rounding goes by their size.
                assert own == pytest.approx(scores[0], rel=0, abs=1e-4 * size)


def test_a_long_text_is_predicted_the_same_after_a_short_one() -> None:
    """BigBird changes its attention for good where a text is short."""
    model, tokenizer, texts = _big_bird()
    model = ready(model)
    predictor = TransformersPredictor.from_pretrained(model, tokenizer)
    method = InputXGradient(predictor, target="logit")
    first = method.interpret_json(json_of(texts[-1]))[0]
    predictor.predict_json({"sentence": "bad"})
    method.interpret_json({"sentence": "bad"})
    again = method.interpret_json(json_of(texts[-1]))[0]
    assert model.bert.attention_type == "block_sparse"
    assert again.inputs[0].attributions == first.inputs[0].attributions


def test_an_answer_where_separators_have_global_attention() -> None:
    config = tf.LongformerConfig(
        **ENCODER, max_position_embeddings=66, attention_window=4, sep_token_id=SEP
    )
    model = ready(tf.LongformerForQuestionAnswering(config))
    tokenizer = words_tokenizer("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]")
    given = {"question": "where does mary live ?", "passage": "mary lives in paris . john is bad"}
    with torch.no_grad():
        own = model(**tokenizer(*given.values(), return_tensors="pt")).start_logits[0]
    found = TransformersPredictor.from_pretrained(model, tokenizer).predict_json(given)
    starts = torch.tensor(found["span_start_logits"][:-1])
    torch.testing.assert_close(starts, own[-len(starts) - 1 : -1], rtol=0, atol=1e-5)
