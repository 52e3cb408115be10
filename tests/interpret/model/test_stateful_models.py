"""State of a model: copied, shared, or left alone."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.data import Instance, Vocabulary
from allennlp.modules.seq2seq_encoders import GruSeq2SeqEncoder, LstmSeq2SeqEncoder
from allennlp.training.metrics import CategoricalAccuracy, Metric
from torch import Tensor, nn

from allennlp_saliency.interpret import IntegratedGradients
from tests.zoo.embedder_transformers import first_layer, transformer
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    check_field,
    check_words,
    field_of,
    piece_ids,
    sums,
    word_ids,
    words_layer,
)
from tests.zoo.unusual_models import (
    DIM,
    SHORT,
    SPLIT,
    TEXT,
    Awkward,
    AwkwardPredictor,
    awkward,
    collated,
    explain,
    labeled,
)


class Holder(Awkward):
    """Holds what cannot be copied."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lock = threading.Lock()
        self.numbers = (number for number in range(10))
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        self.generator = torch.Generator().manual_seed(3)
        self.held = {"locks": [threading.RLock()], "event": threading.Event()}

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        with self.lock, self.held["locks"][0]:
            return super().summary(texts)


def test_what_cannot_be_copied() -> None:
    predictor = awkward(Holder)
    model = predictor._model
    check_words(predictor)
    assert next(model.numbers) == 0
    assert not model.file.closed
    assert model.generator.get_state().equal(torch.Generator().manual_seed(3).get_state())
    assert not model.lock.locked()
    model.file.close()


class Normed(Awkward):
    """Weights that are computed anew before every forward pass, in four ways."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        dim = self.inner.in_features
        self.layers = nn.ModuleList([nn.Linear(dim, dim) for _ in range(4)])

    def dress(self) -> None:
        from torch.nn.utils import parametrizations, spectral_norm, weight_norm

        weight_norm(self.layers[0])
        spectral_norm(self.layers[1])
        parametrizations.weight_norm(self.layers[2])
        parametrizations.spectral_norm(self.layers[3])

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        embedded = super().embed(name, tensors, depth)
        for layer in self.layers:
            embedded = embedded + torch.tanh(layer(embedded))
        return embedded


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("train_first", [False, True])
def test_weight_norm_and_spectral_norm(train_first: bool) -> None:
    predictor = awkward(Normed)
    predictor._model.dress()
    if train_first:  # Then the weights in place carry a graph.
        predictor._model.train()
        (instance,) = labeled(predictor, {"tokens": TEXT})
        predictor._model(**collated(predictor, instance))["loss"].backward()
        predictor._model.eval()
    before = {name: value.clone() for name, value in predictor._model.state_dict().items()}
    check_words(predictor)
    after = predictor._model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


class Tied(Awkward):
    """Scores words with the table that embeds them, by the parameter and by the module."""

    def __init__(self, vocab: Vocabulary, embedder: Any, **options: Any) -> None:
        super().__init__(vocab, embedder, **options)
        self.output = nn.Linear(DIM, vocab.get_vocab_size("tokens"), bias=False)
        self.output.weight = embedder._token_embedders["tokens"].weight
        self.same = [embedder._token_embedders["tokens"]]

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        embedded = super().embed(name, tensors, depth)
        table = self.same[0].weight
        return embedded + self.output(embedded).softmax(-1) @ table


def test_tied_weights() -> None:
    predictor = awkward(Tied)
    check_words(predictor)
    assert predictor._model.output.weight is words_layer(predictor).weight


class Cached(Awkward):
    """Keeps tensors of its last forward pass, with their graph."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        self.last = super().summary(texts)
        self.seen = {"all": [*getattr(self, "seen", {"all": []})["all"][-3:], self.last * 2]}
        return self.last


def test_cached_tensors_with_a_graph() -> None:
    predictor = awkward(Cached)
    (instance,) = labeled(predictor, {"tokens": TEXT})
    predictor._model(**collated(predictor, instance))
    last = predictor._model.last
    assert last.grad_fn is not None
    check_words(predictor)
    assert predictor._model.last.grad_fn is not None


class Stateful(Awkward):
    """An encoder that remembers the batch before."""

    def __init__(self, *args: Any, cell: str = "lstm", **options: Any) -> None:
        super().__init__(*args, **options)
        encoders = {"lstm": LstmSeq2SeqEncoder, "gru": GruSeq2SeqEncoder}
        self.encoder = encoders[cell](DIM, DIM, stateful=True)

    def pool(self, embedded: Tensor, mask: Tensor) -> Tensor:
        return super().pool(self.encoder(embedded, mask), mask)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("read_before", [[], [TEXT], [SHORT, TEXT]])
def test_a_stateful_encoder(cell: str, read_before: list[str]) -> None:
    """Explains what the predictor would say next, whatever it has read; nobody's state moves."""
    predictor = awkward(Stateful, cell=cell)
    encoder = predictor._model.encoder
    for text in read_before:
        predictor.predict_json({"tokens": text})
    states = encoder._states
    kept = None if states is None else [state.clone() for state in states]

    def restore() -> None:
        encoder._states = None if kept is None else tuple(state.clone() for state in kept)

    for text in (TEXT, SHORT):
        restore()
        (instance,) = labeled(predictor, {"tokens": text})
        restore()
        by_id = sums(by_hand(predictor, instance, words_layer(predictor)))
        wanted = [by_id[word_ids(predictor)(word)[0]] for word in text.split()]
        restore()
        with torch.no_grad():
            value = -float(predictor._model(**collated(predictor, instance))["loss"])
        restore()
        explanation = explain(predictor, {"tokens": text})
        assert explanation.target["value"] == pytest.approx(value, rel=1e-4)
        assert explanation.inputs[0].attributions == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        (integrated,) = IntegratedGradients(predictor, steps=64).interpret_json({"tokens": text})
        assert abs(integrated.convergence_delta) < 1e-3
    check_batch_equals_single(predictor, [{"tokens": TEXT}, {"tokens": SHORT}], rel=1e-4)
    assert (encoder._states is None) == (kept is None)
    for before, now in zip(kept or [], encoder._states or [], strict=True):
        assert torch.equal(before, now)


def test_hooks_of_the_users_own() -> None:
    """They are part of the function, and stay where they are."""
    predictor = awkward()
    layer = words_layer(predictor)
    plain = explain(predictor, {"tokens": TEXT}).inputs[0].attributions
    handles = [
        layer.register_forward_hook(lambda module, args, output: output * 2),
        predictor._model.inner.register_forward_pre_hook(lambda module, args: (args[0] + 0.1,)),
        predictor._model.head.register_forward_hook(lambda module, args, output: output.sin()),
    ]
    check_words(predictor)
    assert explain(predictor, {"tokens": TEXT}).inputs[0].attributions != pytest.approx(plain)
    assert len(layer._forward_hooks) == 1
    assert len(predictor._model.inner._forward_pre_hooks) == 1
    for handle in handles:
        handle.remove()
    check_words(predictor)


class Counting(Awkward):
    """Counts in a metric, in a buffer and in a plain number; and drops out."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.accuracy = CategoricalAccuracy()
        self.dropout = nn.Dropout(0.5)
        self.register_buffer("steps", torch.zeros(()))
        self.calls = 0

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        self.accuracy(logits, label)
        self.steps += 1
        self.calls += 1
        return super().loss(logits, label)

    def embed(self, name: str, tensors: Any, depth: int) -> Tensor:
        return self.dropout(super().embed(name, tensors, depth))

    def get_metrics(self, reset: bool = False) -> dict[str, float]:
        return {"accuracy": self.accuracy.get_metric(reset)}


def test_metrics_and_counters_are_left_alone() -> None:
    predictor = awkward(Counting)
    explain(predictor, {"tokens": TEXT})
    model = predictor._model
    assert model.get_metrics() == {"accuracy": 0.0}
    assert model.accuracy.total_count == 0
    assert (float(model.steps), model.calls) == (0.0, 0)
    check_words(awkward(Counting))


class Refusing(Metric):
    """Refuses whatever it is given, as span measures refuse tags that fit no scheme."""

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError("no such measure")


class Refused(Awkward):
    """The same model with a metric that refuses."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.measures = [Refusing()]

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        self.measures[0](logits, label)
        return super().loss(logits, label)


def test_metrics_are_muted_while_explaining() -> None:
    """What a metric refuses stops no explanation; the user's own metric still refuses it."""
    predictor = awkward(Refused)
    found = explain(predictor, {"tokens": TEXT})
    plain = explain(awkward(), {"tokens": TEXT})
    assert found.inputs[0].attributions == pytest.approx(plain.inputs[0].attributions, rel=1e-6)
    with pytest.raises(ValueError, match="no such measure"):
        predictor._model.measures[0]()


def test_a_model_in_training_mode() -> None:
    """The explanation is of the model without dropout, and the model stays in training."""
    predictor = awkward(Counting)
    evaluated = explain(predictor, {"tokens": TEXT})
    predictor._model.train()
    predictor._model.inner.eval()
    state = torch.get_rng_state()
    assert explain(predictor, {"tokens": TEXT}) == evaluated
    assert torch.equal(torch.get_rng_state(), state)
    assert predictor._model.training
    assert predictor._model.dropout.training
    assert not predictor._model.inner.training


@pytest.mark.parametrize(
    ("dtype", "rel"), [(torch.float64, 1e-9), (torch.bfloat16, 5e-2)], ids=["float64", "bfloat16"]
)
@pytest.mark.parametrize("kind", ["words", "bert"])
def test_other_precisions(
    folder: Callable[[str], str], kind: str, dtype: torch.dtype, rel: float
) -> None:
    predictor = awkward() if kind == "words" else transformer(folder("bert"), mismatched=True)
    predictor._model.to(dtype)
    if kind == "words":
        layer, ids = words_layer(predictor), word_ids(predictor)
    else:
        layer, ids = first_layer(predictor), piece_ids(folder("bert"))

    class Predictions(AwkwardPredictor):
        # NumPy knows no bfloat16.
        def json_to_labeled_instances(self, inputs: dict[str, Any]) -> list[Instance]:
            instance = self._json_to_instance(inputs)
            with torch.no_grad():
                logits = self._model(**collated(self, instance))["logits"][0].float().numpy()
            return self.predictions_to_labeled_instances(instance, {"logits": logits})

    predictor = Predictions(predictor._model, predictor._dataset_reader)
    (instance,) = labeled(predictor, {"tokens": SPLIT if kind == "bert" else TEXT})
    calls = by_hand(predictor, instance, layer)
    text = " ".join(token.text for token in instance["tokens"].tokens)
    check_field(field_of(explain(predictor, {"tokens": text}), "tokens"), calls, ids, rel=rel)
    (integrated,) = IntegratedGradients(predictor, steps=16).interpret_json({"tokens": text})
    assert np.isfinite(integrated.inputs[0].attributions).all()
    assert all(parameter.dtype == dtype for parameter in predictor._model.parameters())
