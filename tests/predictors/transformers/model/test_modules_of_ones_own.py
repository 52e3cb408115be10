"""Modules of a user's own around a Hugging Face model: what they take, return and embed."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
import transformers as tf
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    InputXGradient,
    InterpretationError,
    KernelShap,
    LeaveOneOut,
)
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.own_modules import CONFIG, OfTensor, Own
from tests.zoo.word_level import BOS, EOS, PAD, WORDS, bert_like, llama_like, ready

INPUTS = [
    {"sentence": "the cast was not good ."},
    {"sentence": "bad film"},
    {"premise": "mary lives in paris", "hypothesis": "john lives"},
]


class OfTuple(Own):
    def forward(
        self, input_ids: Any = None, attention_mask: Any = None, token_type_ids: Any = None
    ) -> Any:
        first = self.states(
            input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        )[:, 0]
        return first, torch.zeros(3)


class OfDictionary(Own):
    def forward(self, input_ids: Any = None, **given: Any) -> Any:
        return {"logits": self.states(input_ids, **given)[:, 0]}


class OfArguments(Own):
    def forward(self, *args: Any, **given: Any) -> Any:
        return (self.states(*args, **given)[:, 0],)


class Plain(nn.Module):
    """Without a config of its own, and a method that names its embeddings."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.bert = tf.BertModel(config)
        self.head = nn.Linear(config.hidden_size, 3)

    def forward(
        self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None
    ) -> Any:
        found = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return self.head(found[0][:, 0])


class Around(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.inner = tf.BertForSequenceClassification(config)

    def forward(self, *args: Any, **given: Any) -> Any:
        return self.inner(*args, **given)


class Scripted(OfTuple):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.scripted = torch.jit.script(nn.Linear(3, 3))

    def states(self, *args: Any, **given: Any) -> Any:
        return self.scripted(super().states(*args, **given))


def logits_of(found: Any) -> Tensor:
    if isinstance(found, Tensor):
        return found
    return found[0] if isinstance(found, tuple) else found["logits"]


def explained_by_hand(model: Any, given: Any) -> tuple[float, float]:
    """The best logit, and the sum of input times gradient over all positions."""
    found: list[Tensor] = []

    def replace(module: Any, args: Any, output: Tensor) -> Tensor:
        found.append(output.detach().requires_grad_())
        return found[-1].clone()

    body = model.bert if hasattr(model, "bert") else model.inner
    handle = body.get_input_embeddings().register_forward_hook(replace)
    value = logits_of(model(**given))[0].max()
    handle.remove()
    gradients = torch.autograd.grad(value, found)
    products = (one * gradient for one, gradient in zip(found, gradients, strict=True))
    return float(value.detach()), sum(float(one.detach().sum()) for one in products)


@pytest.mark.parametrize(
    "kind", [OfTuple, OfDictionary, OfTensor, OfArguments, Plain, Around, Scripted]
)
def test_predicted_and_explained(kind: Any) -> None:
    torch.manual_seed(0)
    model, tokenizer = ready(kind(CONFIG)), bert_like()
    predictor = TransformersPredictor.from_pretrained(model, tokenizer, task="text-classification")
    method = InputXGradient(predictor, target="logit")
    together, batch = method.interpret_batch_json(INPUTS), predictor.predict_batch_json(INPUTS)
    for one, packed, predicted in zip(INPUTS, together, batch, strict=True):
        given = tokenizer(*one.values(), return_tensors="pt")
        expected = logits_of(model(**given))[0].tolist()
        assert predictor.predict_json(one)["logits"] == pytest.approx(expected, abs=1e-5)
        assert predicted["logits"] == pytest.approx(expected, abs=1e-5)
        value, total = explained_by_hand(model, given)
        for explanation in (*method.interpret_json(one), *packed):
            scores = [score for field in explanation.inputs for score in field.attributions]
            rest = sum(field.unassigned for field in explanation.inputs)
            assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
            assert sum(scores) + rest == pytest.approx(total, abs=1e-4)


class ReadsTwice(Own):
    """Reads its text and the text once more behind it, as echo embeddings are made."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return self.states(input_ids.repeat(1, 2), attention_mask=attention_mask.repeat(1, 2))[:, 0]


class AddsTokens(Own):
    """Puts tokens of its own behind a text."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        ids = nn.functional.pad(input_ids, (0, 2), value=EOS)
        mask = nn.functional.pad(attention_mask, (0, 2), value=1)
        return self.states(ids, attention_mask=mask)[:, 0]


class AddsToEach(Own):
    """Puts a token of its own right behind each text, before its padding."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        ids = nn.functional.pad(input_ids, (0, 1), value=PAD)
        mask = nn.functional.pad(attention_mask, (0, 1))
        lengths = attention_mask.sum(1, keepdim=True)
        ids, mask = ids.scatter(1, lengths, EOS), mask.scatter(1, lengths, 1)
        return self.states(ids, attention_mask=mask)[:, 0]


class RepeatsEach(Own):
    """Reads each text twice without padding in between."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        rows = [
            ids[mask.bool()].repeat(2) for ids, mask in zip(input_ids, attention_mask, strict=True)
        ]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
        return self.states(ids, attention_mask=(ids != PAD).long())[:, 0]


@pytest.mark.parametrize("kind", [ReadsTwice, AddsTokens, AddsToEach, RepeatsEach])
def test_what_a_model_reads_behind_its_text_counts(kind: Any) -> None:
    torch.manual_seed(0)
    model, tokenizer = ready(kind(CONFIG)), bert_like(types=False)
    predictor = TransformersPredictor.from_pretrained(model, tokenizer, task="text-classification")
    method = InputXGradient(predictor, target="logit")
    # Of these the shorter share a batch, with padding.
    inputs = [*INPUTS[:2], {"sentence": "john lives in paris"}, {"sentence": "the film was good ."}]
    for one, packed in zip(inputs, method.interpret_batch_json(inputs), strict=True):
        given = tokenizer(*one.values(), return_tensors="pt")
        _, total = explained_by_hand(model, given)
        for explanation in (*method.interpret_json(one), *packed):
            (field,) = explanation.inputs
            assert sum(field.attributions) + field.unassigned == pytest.approx(total, abs=1e-4)
            assert (field.unassigned == 0) == (kind in (ReadsTwice, RepeatsEach))


def first(model: Any, **given: Any) -> Any:
    return tf.modeling_outputs.SequenceClassifierOutput(logits=model.states(**given)[:, :1])


class ThreeDimensions(Own):
    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        return first(self, input_ids=input_ids, attention_mask=attention_mask)


class WithoutHead(Own):
    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        return self.bert(input_ids, attention_mask=attention_mask)


class DropsSpecialTokens(Own):
    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        return (self.states(input_ids, attention_mask=attention_mask)[:, 1:-1],)


class AddsPositions(Own):
    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        found = self.states(input_ids, attention_mask=attention_mask)
        return (torch.cat([found[:, :2], found], dim=1),)


@pytest.mark.parametrize(
    ("kind", "task", "told"),
    [
        (ThreeDimensions, "text-classification", r"logits of shape \(1, 1, 3\).*\(texts, labels\)"),
        (WithoutHead, "text-classification", "no logits but last_hidden_state"),
        (OfTensor, "token-classification", r"\(1, 3\).*\(texts, tokens, labels\)"),
        (DropsSpecialTokens, "token-classification", "2 positions of a text of 4 tokens"),
        (AddsPositions, "token-classification", "6 positions of a text of 4 tokens"),
    ],
)
def test_what_cannot_be_read_is_named(kind: Any, task: str, told: str) -> None:
    model = ready(kind(CONFIG))
    predictor = TransformersPredictor.from_pretrained(model, bert_like(types=False), task=task)
    with pytest.raises(InterpretationError, match=told):
        predictor.predict_json({"sentence": "bad film"})


class OfNumpy(Own):
    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        found = self.states(input_ids, attention_mask=attention_mask)[:, 0]
        return {"logits": numpy.asarray(found.detach())}


def test_numbers_without_a_graph_are_predicted() -> None:
    model = ready(OfNumpy(CONFIG))
    predictor = TransformersPredictor.from_pretrained(
        model, bert_like(types=False), task="text-classification"
    )
    assert len(predictor.predict_json({"sentence": "bad film"})["logits"]) == 3
    with pytest.raises(InterpretationError, match="gives no gradient"):
        InputXGradient(predictor).interpret_json({"sentence": "bad film"})


def test_nothing_says_what_the_labels_are() -> None:
    class Bare(nn.Module):
        def forward(self, input_ids: Tensor) -> Tensor:
            return input_ids.float()

    with pytest.raises(InterpretationError, match="Bare has no config"):
        TransformersPredictor.from_pretrained(Bare(), bert_like(), task="text-classification")


def test_a_module_that_cannot_write_is_named() -> None:
    class Wrapped(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *args: Any, **given: Any) -> Any:
            return self.inner(*args, **given)

    config = tf.LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    model = Wrapped(tf.LlamaForCausalLM(config)).eval()
    predictor = TransformersPredictor.from_pretrained(model, llama_like(), task="causal-lm")
    with pytest.raises(InterpretationError, match=r"Wrapped cannot write.*give the language model"):
        predictor.predict_json({"prompt": "mary lives", "max_new_tokens": 2})


class SortsRows(Own):
    """By a sort that puts more than 16 rows of one length in another order."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        order = attention_mask.sum(1).argsort(descending=True)
        states = self.states(input_ids[order], attention_mask=attention_mask[order])
        return {"logits": states[:, 0][order.argsort()]}


@pytest.mark.parametrize("method", [LeaveOneOut, KernelShap])
def test_copies_of_one_text_are_told_apart(method: Any) -> None:
    found = []
    for kind in (OfDictionary, SortsRows):
        torch.manual_seed(0)
        predictor = TransformersPredictor.from_pretrained(
            ready(kind(CONFIG)), bert_like(types=False), task="text-classification"
        )
        given = {"sentence": "the cast was not good . " * 4}
        found.append(method(predictor, target="logit").interpret_json(given)[0].inputs[0])
    expected, got = (one.attributions for one in found)
    assert any(expected)
    assert got == pytest.approx(expected, abs=1e-5)


class Backwards(Own):
    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return self.states(input_ids.flip(1), attention_mask=attention_mask.flip(1))[:, 0]


def test_the_way_out_where_ids_are_not_the_texts() -> None:
    model, tokenizer = ready(Backwards(CONFIG)), bert_like(types=False)
    predictor = TransformersPredictor.from_pretrained(model, tokenizer, task="text-classification")
    with pytest.raises(InterpretationError, match="with the target 'output'"):
        InputXGradient(predictor).interpret_json(INPUTS[0])
    (found,) = LeaveOneOut(predictor, target="output").interpret_json(INPUTS[0])
    probabilities = predictor.predict_json(INPUTS[0])["probs"]
    assert found.target["value"] == pytest.approx(max(probabilities), abs=1e-6)
