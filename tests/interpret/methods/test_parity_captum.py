"""The same numbers as captum's, for the same model, layer and function.

Nothing of this project takes part in captum's side: the model is called as AllenNLP calls it, and
the embedding layer is named by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.data import Instance
from allennlp.data.batch import Batch
from allennlp.predictors import Predictor
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import LayerGradientXActivation, LayerIntegratedGradients
from torch import Tensor, nn

from allennlp_saliency.interpret import InputXGradient, IntegratedGradients
from tests.zoo import LABELS, Zoo

TEXT = "the plot was not bad , but the actor was badly unbelievable !"
LAYERS = {
    "bert": "transformer_model.embeddings.word_embeddings",
    "roberta": "transformer_model.embeddings.word_embeddings",
    "distilbert": "transformer_model.embeddings.word_embeddings",
    "electra": "transformer_model.embeddings.word_embeddings",
    "albert": "transformer_model.embeddings.word_embeddings",
    "gpt2": "transformer_model.wte",
    "lstm": "",
}
TARGETS: dict[str, Any] = {
    "log-likelihood": "log-likelihood",
    "logit": "logit",
    "probability": "probability",
    "contrast": {"type": "contrast", "against": "neutral", "label": "positive"},
    "named": {"type": "log-likelihood", "label": "neutral"},
}
RULES = {
    "gauss-legendre": ("gausslegendre", 1.0),
    "left": ("riemann_left", 1.0),
    "right": ("riemann_right", 1.0),
    "midpoint": ("riemann_middle", 1.0),
    # captum's weights of the trapezoid rule add up to (n - 1) / n, ours to 1.
    "trapezoid": ("riemann_trapezoid", 12 / 11),
}
STEPS = 12
each_model = pytest.mark.parametrize("name", LAYERS)


def indexed(predictor: Predictor) -> tuple[Instance, dict[str, Tensor]]:
    """The instance of the text, with its indexers applied, and its tensors."""
    instance = predictor._json_to_instance({"sentence": TEXT})
    predictor._dataset_reader.apply_token_indexers(instance)
    batch = Batch([instance])
    batch.index_instances(predictor._model.vocab)
    return instance, batch.as_tensor_dict()["tokens"]["tokens"]


@dataclass
class Subject:
    """A model as captum wants it: a function of word indices.

    Attributes:
        forward: Maps indices `(rows, positions)` to the target `(rows,)`.
        indices: The text's, `(1, positions)`.
        layer: The embedding layer.
        kept: Positions that a tokenizer added.
    """

    forward: Callable[[Tensor], Tensor]
    indices: Tensor
    layer: nn.Module
    kept: Tensor

    @classmethod
    def of(cls, predictor: Predictor, name: str, target: str) -> Subject:
        model = predictor._model
        instance, tensors = indexed(predictor)
        key = "token_ids" if "token_ids" in tensors else "tokens"
        indices = tensors[key]
        special = [token.text in ("[CLS]", "[SEP]", "<s>", "</s>") for token in instance["tokens"]]

        def forward(some: Tensor) -> Tensor:
            rows = len(some)
            field = {one: value.repeat(rows, 1) for one, value in tensors.items()} | {key: some}
            return explained(model(tokens={"tokens": field})["logits"], label, target)

        with torch.no_grad():
            label = int(model(tokens={"tokens": dict(tensors)})["logits"].argmax())
        embedder = model._text_field_embedder.token_embedder_tokens
        layer = embedder.get_submodule(LAYERS[name])
        return cls(forward, indices, layer, torch.tensor(special))


def explained(logits: Tensor, label: int, target: str) -> Tensor:
    if target == "log-likelihood":
        return logits.log_softmax(1)[:, label]
    if target == "logit":
        return logits[:, label]
    if target == "probability":
        return logits.softmax(1)[:, label]
    if target == "named":
        return logits.log_softmax(1)[:, LABELS.index("neutral")]
    return logits[:, LABELS.index("positive")] - logits[:, LABELS.index("neutral")]


def scores(interpreter: Any) -> list[float]:
    (explanation,) = interpreter.interpret_json({"sentence": TEXT})
    (one,) = explanation.inputs
    return one.attributions


def summed(attribution: Tensor) -> list[float]:
    assert attribution.shape[0] == 1
    return attribution[0].sum(-1).tolist()


def check(ours: list[float], theirs: list[float]) -> None:
    assert len(ours) == len(theirs)
    assert np.abs(theirs).max() > 1e-3, "the model hardly reacts: nothing would be compared"
    assert np.abs(np.subtract(ours, theirs)).max() <= 1e-5


def baseline_indices(subject: Subject, index: int) -> Tensor:
    """Another word everywhere, but for special tokens."""
    return torch.where(subject.kept, subject.indices, torch.full_like(subject.indices, index))


def index_of(predictor: Predictor, word: str) -> tuple[str, int]:
    """A word as the model's vocabulary spells it, and its index."""
    indexer = predictor._dataset_reader._token_indexers["tokens"]
    if not hasattr(indexer, "_tokenizer"):
        return word, predictor._model.vocab.get_token_index(word)
    vocabulary = indexer._tokenizer.get_vocab()
    spelled = next(one for one in (f"Ġ{word}", word) if one in vocabulary)
    return spelled, vocabulary[spelled]


@each_model
@pytest.mark.parametrize("target", TARGETS)
def test_input_x_gradient(zoo: Zoo, name: str, target: str) -> None:
    predictor = zoo.predictor(name)
    subject = Subject.of(predictor, name, target)
    theirs = LayerGradientXActivation(subject.forward, subject.layer).attribute(subject.indices)
    check(scores(InputXGradient(predictor, target=TARGETS[target])), summed(theirs))


@each_model
@pytest.mark.parametrize(
    ("target", "rule"),
    [(target, "gauss-legendre") for target in TARGETS] + [("log-likelihood", r) for r in RULES][1:],
)
def test_integrated_gradients(zoo: Zoo, name: str, target: str, rule: str) -> None:
    predictor = zoo.predictor(name)
    subject = Subject.of(predictor, name, target)
    word, index = index_of(predictor, "it")
    method, factor = RULES[rule]
    theirs = LayerIntegratedGradients(subject.forward, subject.layer).attribute(
        subject.indices, baseline_indices(subject, index), n_steps=STEPS, method=method
    )
    ours = IntegratedGradients(
        predictor,
        steps=STEPS,
        rule=rule,
        baseline={"type": "token", "token": word},
        target=TARGETS[target],
    )
    check(scores(ours), summed(theirs * factor))


@each_model
@pytest.mark.parametrize("keep_special_tokens", [True, False])
def test_integrated_gradients_from_zero(zoo: Zoo, name: str, keep_special_tokens: bool) -> None:
    predictor = zoo.predictor(name)
    subject = Subject.of(predictor, name, "logit")
    with torch.no_grad():
        embedded = subject.layer(subject.indices)
    put: list[Tensor] = []

    def forward(points: Tensor) -> Tensor:
        put[:] = [points]
        return subject.forward(subject.indices.expand(len(points), -1))

    kept = subject.kept[None, :, None] & keep_special_tokens
    handle = subject.layer.register_forward_hook(lambda *_: put[0])
    try:
        theirs = CaptumIntegratedGradients(forward).attribute(
            embedded, torch.where(kept, embedded, 0.0), n_steps=STEPS, method="gausslegendre"
        )
    finally:
        handle.remove()
    ours = IntegratedGradients(
        predictor,
        steps=STEPS,
        baseline={"type": "zero", "keep_special_tokens": keep_special_tokens},
        target="logit",
    )
    check(scores(ours), summed(theirs))


@pytest.mark.parametrize("name", ["bert", "roberta"])
@pytest.mark.parametrize("aggregation", ["sum", "mean"])
def test_wordpieces_of_a_mismatched_indexer(zoo: Zoo, name: str, aggregation: str) -> None:
    predictor = zoo.predictor(f"{name}-mismatched")
    model = predictor._model
    _, tensors = indexed(predictor)

    def forward(some: Tensor) -> Tensor:
        repeat = {k: v.repeat(len(some), *[1] * (v.dim() - 1)) for k, v in tensors.items()}
        return model(tokens={"tokens": repeat | {"token_ids": some}})["logits"].softmax(1)[:, 1]

    embedder = model._text_field_embedder.token_embedder_tokens._matched_embedder
    layer = embedder.get_submodule(LAYERS[name])
    theirs = summed(LayerGradientXActivation(forward, layer).attribute(tensors["token_ids"]))
    spans = tensors["offsets"][0].tolist()
    assert any(end > start for start, end in spans), "no word was split"
    words = [sum(theirs[start : end + 1]) for start, end in spans]
    if aggregation == "mean":
        words = [word / (end - start + 1) for word, (start, end) in zip(words, spans, strict=True)]
    target = {"type": "probability", "label": LABELS[1]}
    interpreter = InputXGradient(predictor, target=target, aggregation=aggregation)
    (explanation,) = interpreter.interpret_json({"sentence": TEXT})
    check(explanation.inputs[0].attributions, words)
    assert explanation.inputs[0].unassigned == pytest.approx(theirs[0] + theirs[-1], abs=1e-5)
