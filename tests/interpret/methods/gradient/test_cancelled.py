"""Input times gradient of models that normalise their embeddings says nothing, and says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.unusual_models import TEXT, Awkward, awkward
from tests.zoo.word_level import ENCODER, PAD, WORDS, bert_like, llama_like, ready

SENTENCES = [{"sentence": "mary lives in paris"}, {"sentence": "bad film"}]


class Normalising(Awkward):
    def embed(self, name: str, tensors: Any, depth: int) -> torch.Tensor:
        return nn.functional.normalize(super().embed(name, tensors, depth), dim=-1)


def bloom(dtype: torch.dtype) -> Any:
    config = tf.BloomConfig(
        vocab_size=len(WORDS), hidden_size=16, n_layer=2, n_head=2, num_labels=3, pad_token_id=PAD
    )
    model = ready(tf.BloomForSequenceClassification(config)).to(dtype)
    return TransformersPredictor.from_pretrained(model, llama_like())


def bert(dtype: torch.dtype) -> Any:
    model = ready(tf.BertForSequenceClassification(tf.BertConfig(**ENCODER))).to(dtype)
    return TransformersPredictor.from_pretrained(model, bert_like())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_said_of_models_that_normalise(dtype: torch.dtype) -> None:
    for (one,) in InputXGradient(bloom(dtype), target="logit").interpret_batch_json(SENTENCES):
        assert any("cancel in every token" in warning for warning in one.warnings)
    for (one,) in InputXGradient(bert(dtype), target="logit").interpret_batch_json(SENTENCES):
        assert not one.warnings


def test_of_allennlps_models_too() -> None:
    given = {"tokens": TEXT}
    (one,) = InputXGradient(awkward(Normalising)).interpret_json(given)
    assert "use 'integrated-gradients' or 'deeplift'" in one.warnings[0]
    (other,) = InputXGradient(awkward()).interpret_json(given)
    assert not other.warnings


def test_a_look_up_that_shortens_vectors_leaves_the_users() -> None:
    torch.manual_seed(0)
    model = ready(tf.BertForMaskedLM(tf.BertConfig(**ENCODER)))
    table = model.get_input_embeddings()
    table.max_norm = 0.5
    assert model.get_output_embeddings().weight is table.weight
    predictor = TransformersPredictor.from_pretrained(model, bert_like())
    given = {"sentence": "mary [MASK] in paris"}
    before = table.weight.detach().clone()
    value = InputXGradient(predictor).interpret_json(given)[0].target["value"]
    IntegratedGradients(predictor, baseline="mask").interpret_json(given)
    assert torch.equal(table.weight, before)
    assert predictor.predict_json(given)["log_probs"][0] == pytest.approx(value, abs=1e-5)
    assert not torch.equal(table.weight, before)
