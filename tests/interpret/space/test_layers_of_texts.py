"""Layer methods at blocks that see several texts as one sequence, against autograd by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers as tf
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    InterpretationError,
    LayerDeepLift,
    LayerGradientXActivation,
    LayerIntegratedGradients,
)
from allennlp_saliency.interpret.model.embedding_layers import block_stacks
from allennlp_saliency.interpret.model.hooks import states_of, with_states
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.word_level import (
    BOS,
    BOTH,
    ENCODER,
    EOS,
    PAD,
    T5,
    WORDS,
    bart_like,
    bert_like,
    llama_like,
    ready,
)

PROMPT = {"prompt": "the cast was", "continuation": "not good"}
SOURCE = {"source": "the cast was", "target": "not good"}
PAIR = {"premise": "mary lives in paris", "hypothesis": "john lives"}


def gpt2() -> Any:
    config = tf.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=64)
    return tf.GPT2LMHeadModel(config)


def openai_gpt() -> Any:
    """Its blocks return lists."""
    config = tf.OpenAIGPTConfig(
        vocab_size=len(WORDS), n_embd=16, n_layer=2, n_head=2, n_positions=64
    )
    return tf.OpenAIGPTLMHeadModel(config)


def llama() -> Any:
    return tf.LlamaForCausalLM(
        tf.LlamaConfig(**ENCODER, num_key_value_heads=1, bos_token_id=BOS, eos_token_id=EOS)
    )


def t5() -> Any:
    return tf.T5ForConditionalGeneration(tf.T5Config(**T5))


def bart() -> Any:
    return tf.BartForConditionalGeneration(tf.BartConfig(**BOTH))


def led() -> Any:
    """Its encoder's blocks see the padding of a window behind the text."""
    own = {name: value for name, value in BOTH.items() if name != "max_position_embeddings"}
    config = tf.LEDConfig(
        **own,
        attention_window=4,
        max_encoder_position_embeddings=64,
        max_decoder_position_embeddings=64,
    )
    return tf.LEDForConditionalGeneration(config)


def bert() -> Any:
    return tf.BertForSequenceClassification(tf.BertConfig(**ENCODER, num_labels=3))


def funnel() -> Any:
    """Its blocks stand in groups."""
    config = tf.FunnelConfig(
        vocab_size=len(WORDS),
        d_model=16,
        block_sizes=[2, 1],
        num_decoder_layers=1,
        n_head=2,
        d_head=8,
        d_inner=32,
        num_labels=3,
        pad_token_id=PAD,
    )
    return tf.FunnelForSequenceClassification(config)


Make = Callable[[], Any]
# A model, its tokenizer, an input, the layer as it is given, and its name in the model.
LAYERS: list[tuple[Make, Make, dict[str, str], Any, str]] = [
    (gpt2, llama_like, PROMPT, 0, "transformer.h.0"),
    (gpt2, llama_like, PROMPT, -1, "transformer.h.1"),
    (gpt2, llama_like, PROMPT, np.int64(1), "transformer.h.1"),
    (gpt2, llama_like, PROMPT, "h.1", "transformer.h.1"),
    (gpt2, llama_like, PROMPT, "transformer.h.0.mlp", "transformer.h.0.mlp"),
    (openai_gpt, llama_like, PROMPT, 0, "transformer.h.0"),
    (llama, llama_like, PROMPT, "model.layers.0", "model.layers.0"),
    # A ModelOutput.
    (llama, llama_like, PROMPT, "model", "model"),
    (t5, bart_like, SOURCE, "encoder.block.0", "encoder.block.0"),
    (t5, bart_like, SOURCE, "decoder.block.1", "decoder.block.1"),
    (bart, bart_like, SOURCE, "model.encoder.layers.0", "model.encoder.layers.0"),
    (bart, bart_like, SOURCE, "decoder.layers.0", "model.decoder.layers.0"),
    (led, bart_like, SOURCE, "led.encoder.layers.0", "led.encoder.layers.0"),
    (led, bart_like, SOURCE, "led.decoder.layers.0", "led.decoder.layers.0"),
    (bert, bert_like, PAIR, 0, "bert.encoder.layer.0"),
    (bert, bert_like, PAIR, "encoder.layer.1", "bert.encoder.layer.1"),
    (bert, bert_like, PAIR, "bert.encoder", "bert.encoder"),
    (funnel, bert_like, PAIR, "encoder.blocks.0.0", "funnel.encoder.blocks.0.0"),
]
IDS = [f"{make.__name__} {layer}" for make, _, _, layer, _ in LAYERS]


def by_hand(model: Any, name: str, inputs: dict[str, Tensor], read: Any) -> list[float]:
    """State times gradient of every position of a layer."""
    seen: list[Tensor] = []

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        # Not by `states_of`: what is tested.
        if isinstance(output, Tensor):
            seen.append(output.detach().requires_grad_())
            return seen[-1].clone()
        first = output[0]
        seen.append(first.detach().requires_grad_())
        if isinstance(output, list):
            return [seen[-1].clone(), *output[1:]]
        if isinstance(output, tuple):
            return (seen[-1].clone(), *output[1:])
        output.last_hidden_state = seen[-1].clone()
        return output

    handle = model.get_submodule(name).register_forward_hook(hook)
    value = read(model(**inputs).logits)
    handle.remove()
    (gradient,) = torch.autograd.grad(value, seen)
    return [float(one) for one in (seen[0].detach() * gradient).sum(-1)[0]]


def hf_inputs(model: Any, tokenizer: Any, given: dict[str, str]) -> dict[str, Tensor]:
    """What the last explained token is predicted from."""
    if "premise" in given:
        return dict(tokenizer(*given.values(), return_tensors="pt"))
    before, after = given.values()
    if not model.config.is_encoder_decoder:
        ids = tokenizer(f"{before} {after}", return_tensors="pt").input_ids[:, :-1]
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    # A target that is given ends where its text does.
    target = tokenizer(after, add_special_tokens=False).input_ids
    start = [model.config.decoder_start_token_id]
    ids = torch.tensor([start + target[:-1]])
    return {**tokenizer(before, return_tensors="pt"), "decoder_input_ids": ids}


@pytest.mark.parametrize(("make", "tokenize", "given", "layer", "name"), LAYERS, ids=IDS)
def test_a_block(make: Make, tokenize: Make, given: dict[str, str], layer: Any, name: str) -> None:
    model, tokenizer = ready(make()), tokenize()
    predictor = TransformersPredictor.from_pretrained(model, tokenizer)
    inputs = hf_inputs(model, tokenizer, given)
    method = LayerGradientXActivation(predictor, target="logit", layer=layer)
    *_, one = method.interpret_json(given)
    label = one.target["label"]
    if "premise" in given:
        number = model.config.label2id[label]
        expected = by_hand(model, name, inputs, lambda logits: logits[0, number])
    else:
        number = tokenizer.convert_tokens_to_ids(label)
        expected = by_hand(model, name, inputs, lambda logits: logits[0, -1, number])
    own = [score for field in reversed(one.inputs) for score in field.attributions]
    # Behind the text stands the padding of a window, if anything.
    scale = max(map(abs, expected)) + 1e-3
    assert own == pytest.approx(expected[: len(own)], rel=0, abs=1e-4 * scale)
    assert sum(expected[len(own) :]) == pytest.approx(0.0, abs=1e-4 * scale)
    longer = {key: f"{text} and john was bad" for key, text in given.items()}
    beside = method.interpret_batch_json([longer, given])[1][-1]
    other = [score for field in reversed(beside.inputs) for score in field.attributions]
    assert other == pytest.approx(own, rel=0, abs=1e-3 * scale)


@pytest.mark.parametrize("method", [LayerIntegratedGradients, LayerDeepLift])
@pytest.mark.parametrize(
    ("make", "tokenize", "given", "layer"),
    [
        (gpt2, llama_like, PROMPT, 1),
        (t5, bart_like, SOURCE, "encoder.block.0"),
        (led, bart_like, SOURCE, "encoder.layers.1"),
        (bert, bert_like, PAIR, 0),
    ],
)
def test_complete(method: Any, make: Make, tokenize: Make, given: Any, layer: Any) -> None:
    predictor = TransformersPredictor.from_pretrained(ready(make()), tokenize())
    for one in method(predictor, target="logit", layer=layer).interpret_json(given):
        change = one.target["value"] - one.target["baseline_value"]
        total = sum(sum(field.attributions) + field.unassigned for field in one.inputs)
        assert total == pytest.approx(change, abs=1e-2 * abs(change) + 1e-5)


class TestNames:
    def explain(self, make: Make, tokenize: Make, given: Any, layer: Any) -> None:
        predictor = TransformersPredictor.from_pretrained(ready(make()), tokenize())
        LayerGradientXActivation(predictor, layer=layer).interpret_json(given)

    def test_two_stacks(self) -> None:
        with pytest.raises(InterpretationError, match=r"encoder\.block\.0', .*decoder\.block\.0'"):
            self.explain(t5, bart_like, SOURCE, 0)

    def test_a_number_too_high(self) -> None:
        with pytest.raises(InterpretationError, match="has 2 blocks, numbered from 0"):
            self.explain(gpt2, llama_like, PROMPT, 5)

    def test_the_end_of_several_names(self) -> None:
        with pytest.raises(InterpretationError, match=r"several layers that end with 'block\.0'"):
            self.explain(t5, bart_like, SOURCE, "block.0")

    def test_groups_of_blocks(self) -> None:
        found = block_stacks(dict(funnel().named_modules()))
        assert [name.partition(".")[2] for name in found] == [
            "encoder.blocks.0",
            "encoder.blocks.1",
        ]

    def test_a_list_of_blocks_never_runs(self) -> None:
        with pytest.raises(InterpretationError, match=r"does not run the layer \(ModuleList\)"):
            self.explain(gpt2, llama_like, PROMPT, "transformer.h")

    def test_a_layer_whose_states_nothing_reads(self) -> None:
        """The classifier reads BERT's pooled output, not the states that it returns first."""
        with pytest.raises(InterpretationError, match=r"does not depend on what the layer.*bert'"):
            self.explain(bert, bert_like, PAIR, "transformer.bert")


class Named(NamedTuple):
    """What Reformer's layers return."""

    states: Tensor
    others: str


class TestOutputs:
    def test_a_named_tuple_stays_one(self) -> None:
        output = Named(torch.zeros(1, 2, 3), "more")
        own = with_states(output, torch.ones(1, 2, 3))
        assert type(own) is Named
        assert own.others == "more"
        assert bool((own.states == 1).all())
        assert bool((states_of(output) == 0).all())

    def test_the_layers_own_output_is_left_alone(self) -> None:
        from transformers.modeling_outputs import BaseModelOutput

        states = torch.zeros(1, 2, 3)
        for output in (BaseModelOutput(last_hidden_state=states), [states, None], (states, None)):
            own = with_states(output, torch.ones(1, 2, 3))
            assert type(own) is type(output)
            assert bool((states_of(own) == 1).all())
            assert states_of(output) is states
