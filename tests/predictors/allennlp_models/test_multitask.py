"""Models of several tasks: each input is explained as its own head alone would be, by hand."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from allennlp.data import Instance, Token, Vocabulary
from allennlp.data.dataset_readers import DatasetReader
from allennlp.data.dataset_readers.multitask import MultiTaskDatasetReader
from allennlp.data.fields import LabelField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.models.heads import ClassifierHead
from allennlp.models.multitask import MultiTaskModel
from allennlp.modules import Backbone
from allennlp.modules.seq2vec_encoders import BagOfEmbeddingsEncoder, LstmSeq2VecEncoder
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors.multitask import MultiTaskPredictor

from allennlp_saliency.interpret import (
    DeepLift,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    LayerwiseRelevancePropagation,
    LeaveOneOut,
)

WORDS = "the cast was not good where does mary live in paris bad".split()
INPUTS = [
    {"task": "mood", "sentence": "the cast was not good"},
    {"task": "kind", "sentence": "the cast was not good"},
    {"task": "kind", "sentence": "mary live in"},
    {"task": "mood", "sentence": "bad"},
]


class _Reader(DatasetReader):
    """As AllenNLP wants it: indexers are put on later."""

    _tokenizer = WhitespaceTokenizer()

    def text_to_instance(self, *inputs: Any) -> Instance:
        (sentence,) = inputs
        tokens = [Token(one) for one in sentence.split()] if isinstance(sentence, str) else sentence
        return Instance({"tokens": TextField(tokens)})

    def apply_token_indexers(self, instance: Instance) -> None:
        text: Any = instance["tokens"]
        text._token_indexers = {"tokens": SingleIdTokenIndexer()}


class _Words(Backbone):
    def __init__(self, vocab: Vocabulary) -> None:
        super().__init__()
        self.embedding = Embedding(6, vocab.get_vocab_size("tokens"))
        self.embedder = BasicTextFieldEmbedder({"tokens": self.embedding})

    def forward(self, tokens: Any) -> dict[str, Any]:  # type: ignore[override]
        return {
            "encoded_text": self.embedder(tokens),
            "encoded_text_mask": get_text_field_mask(tokens),
        }


class _Head(ClassifierHead):
    default_predictor: ClassVar = "text_classifier"


class _Unread(ClassifierHead):
    pass


def predictor(kind: type[ClassifierHead] = _Head) -> MultiTaskPredictor:
    vocab = Vocabulary()
    spaces = {"tokens": WORDS, "labels": "a b c".split(), "kind_labels": "x y".split()}
    for space, names in spaces.items():
        for name in names:
            vocab.add_token_to_namespace(name, space)
    heads = {
        "mood": kind(vocab, BagOfEmbeddingsEncoder(6), input_dim=6),
        "kind": kind(vocab, LstmSeq2VecEncoder(6, 4), label_namespace="kind_labels"),
    }
    model = MultiTaskModel(vocab, _Words(vocab), heads, loss_weights={"mood": 3.0, "kind": 0.5})
    torch.manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return MultiTaskPredictor(model, MultiTaskDatasetReader({name: _Reader() for name in heads}))


def by_hand(made: MultiTaskPredictor, given: dict[str, str], target: str) -> Any:
    """The label, the number and input times gradient of the head alone."""
    model: Any = made._model.eval()
    words = given["sentence"].split()
    ids = torch.tensor([[model.vocab.get_token_index(one) for one in words]])
    vectors = model._backbone.embedding.weight[ids].detach().requires_grad_()
    head = model._heads[given["task"]]
    outputs = head(encoded_text=vectors, encoded_text_mask=torch.ones_like(ids).bool())
    logits = outputs["logits"][0]
    value = (logits if target == "logit" else logits.log_softmax(-1)).max()
    (gradient,) = torch.autograd.grad(value, vectors)
    space = head._label_namespace
    name = model.vocab.get_token_from_index(int(logits.argmax()), space)
    return name, value.item(), (vectors * gradient).sum(-1)[0].tolist()


@pytest.mark.parametrize("target", ["logit", "log-likelihood"])
@pytest.mark.parametrize("times", [1, 10])
def test_as_its_head_alone(target: str, times: int) -> None:
    made = predictor()
    method = InputXGradient(made, target=target)
    given = [dict(one) for one in INPUTS * times]
    alone = [method.interpret_json(dict(one)) for one in INPUTS]
    together = method.interpret_batch_json(given)
    assert given == INPUTS * times
    for one, (found,) in [*zip(INPUTS, alone, strict=True), *zip(given, together, strict=True)]:
        label, value, scores = by_hand(made, one, target)
        assert found.target["label"] == label
        assert found.target["value"] == pytest.approx(value, abs=1e-5)
        assert found.inputs[0].attributions == pytest.approx(scores, abs=1e-5)
    assert made._model.get_metrics() == {}


@pytest.mark.parametrize("method", [IntegratedGradients, DeepLift, LayerwiseRelevancePropagation])
def test_complete_in_a_batch_of_several_tasks(method: Any) -> None:
    made = predictor()
    for one, (found,) in zip(
        INPUTS, method(made).interpret_batch_json([dict(one) for one in INPUTS]), strict=True
    ):
        assert found.convergence_delta == pytest.approx(0, abs=1e-4)
        assert found.target["label"] == by_hand(made, one, "logit")[0]


def test_leave_one_out() -> None:
    made = predictor()
    given = dict(INPUTS[1])
    (found,) = LeaveOneOut(made, target="logit", removal="delete").interpret_json(given)
    logits = made.predict_json(dict(given))["kind_logits"]
    label = max(range(len(logits)), key=logits.__getitem__)
    words = given["sentence"].split()
    for place, score in enumerate(found.inputs[0].attributions):
        rest = " ".join(words[:place] + words[place + 1 :])
        without = made.predict_json({**given, "sentence": rest})["kind_logits"][label]
        assert score == pytest.approx(logits[label] - without, abs=1e-5)


def test_labels_are_those_of_the_head() -> None:
    made = predictor()
    every = InputXGradient(made, target="all-labels").interpret_json(dict(INPUTS[1]))
    assert [one.target["label"] for one in every] == ["x", "y"]
    logits = made.predict_json(dict(INPUTS[1]))["kind_logits"]
    assert [one.target["value"] for one in every] == pytest.approx(logits, abs=1e-5)


def test_what_cannot_be_read() -> None:
    with pytest.raises(InterpretationError, match="no task 'mod'; did you mean 'mood'"):
        InputXGradient(predictor()).interpret_json({"task": "mod", "sentence": "bad"})
    with pytest.raises(InterpretationError, match="lacks the key 'task'"):
        InputXGradient(predictor()).interpret_json({"sentence": "bad"})
    with pytest.raises(InterpretationError, match="'mood' names no predictor"):
        InputXGradient(predictor(_Unread)).interpret_json(dict(INPUTS[0]))


class _ByLength(MultiTaskPredictor):
    """A predictor of a user's own that gives labels by name, to instances that were indexed."""

    def _json_to_instance(self, json_dict: Any) -> Instance:
        instance = super()._json_to_instance(json_dict)
        _Reader().apply_token_indexers(instance)
        return instance

    def predictions_to_labeled_instances(self, instance: Instance, outputs: Any) -> list[Instance]:
        new = instance.duplicate()
        task: Any = instance["task"]
        space = "kind_labels" if task.metadata == "kind" else "labels"
        new.add_field("label", LabelField(outputs[f"{task.metadata}_label"], space))
        return [new]


def test_labels_by_name_of_two_namespaces_share_no_batch() -> None:
    plain = predictor()
    made = _ByLength(plain._model, plain._dataset_reader)  # type: ignore[arg-type]
    method = InputXGradient(made)
    together = method.interpret_batch_json([dict(one) for one in INPUTS])
    for one, (found,) in zip(INPUTS, together, strict=True):
        (alone,) = method.interpret_json(dict(one))
        assert found.target["label"] == alone.target["label"] == by_hand(made, one, "logit")[0]
        assert found.inputs[0].attributions == pytest.approx(alone.inputs[0].attributions, abs=1e-6)
